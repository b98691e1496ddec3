import ApusBase
import ApusTorch
import Foundation
import Testing

/// The package's folder, found from this file.
let packageRoot = URL(filePath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Stored values, each with the script that made it beside it.
let fixtures = packageRoot.appending(path: "Tests/Fixtures/torch")

/// Gives `body` a folder that is gone afterwards.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory
    .appending(path: "apus-torch-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// Requires |a − b| ≤ absolute + relative·|b| for every element, in float64.
func expectClose(
  _ found: Tensor, _ expected: Tensor, absolute: Double, relative: Double, _ name: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.isDefined, expected.isDefined, found.shape == expected.shape else {
    Issue.record(
      "\(name): shape \(found.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
    return
  }
  for (index, (a, b)) in zip(found.doubles, expected.doubles).enumerated()
  where !(a == b || abs(a - b) <= absolute + relative * abs(b)) {
    Issue.record("\(name)[\(index)]: \(a), expected \(b)", sourceLocation: sourceLocation)
    return
  }
}

/// Numbers drawn from a seed, for tests.
func drawn(
  _ shape: [Int], seed: UInt64, dtype: DType = .float32, deviation: Double = 1
) -> Tensor {
  var stream = RandomStream(seed: seed)
  return Tensor.normal(shape, deviation: deviation, stream: &stream, dtype: dtype)
}

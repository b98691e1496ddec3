import ApusBase
import ApusCore
import ApusModels
import ApusTorch
import Foundation
import Testing

/// The folder of the package.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent()

/// What transformers computed of the tiny checkpoint.
struct Golden {
  static let folder = packageRoot.appending(path: "Tests/Fixtures/bert")
  let file: SafetensorsFile
  let examples: [[Int]]
  let types: [[Int]]

  init() throws {
    file = try SafetensorsFile(contentsOf: Self.folder.appending(path: "reference.safetensors"))
    var (ids, segments) = (try file.tensor("ids").ints[...], try file.tensor("types").ints[...])
    var (examples, types): ([[Int]], [[Int]]) = ([], [])
    for length in try file.tensor("lengths").ints {
      examples.append(Array(ids.prefix(length)))
      types.append(Array(segments.prefix(length)))
      ids = ids.dropFirst(length)
      segments = segments.dropFirst(length)
    }
    (self.examples, self.types) = (examples, types)
  }

  var batch: TokenBatch { get throws { try TokenBatch(examples, types: types) } }

  static func backbone(_ precision: Precision = .float32) throws -> Backbone {
    try Backbone(Checkpoint(folder: folder.appending(path: "tiny")), precision: precision)
  }

  static func model(
    _ pooling: Pooling = .cls, _ precision: Precision = .float32
  ) throws -> TextClassifier {
    try backbone(precision).makeClassifier(
      labels: 3, pooling: pooling, random: RandomStream(seed: 1))
  }
}

/// Expects |a − b| ≤ absolute + relative·|b| everywhere.
func expectClose(
  _ a: Tensor, _ b: Tensor, absolute: Double, relative: Double, _ name: String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard a.shape == b.shape else {
    Issue.record("\(name): shape \(a.shape), not \(b.shape)", sourceLocation: sourceLocation)
    return
  }
  for (index, (x, y)) in zip(a.doubles, b.doubles).enumerated()
  where !(abs(x - y) <= absolute + relative * abs(y)) {
    Issue.record("\(name)[\(index)]: \(x), not \(y)", sourceLocation: sourceLocation)
    return
  }
}

/// Calls `body` with a new folder, which is removed afterwards.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// Python with transformers and peft, for tests that ask them directly.
enum Oracle {
  static let python = packageRoot.appending(path: ".venv-oracle/bin/python")
  static var isPresent: Bool { FileManager.default.fileExists(atPath: python.path) }

  /// Hidden states, and logits of classifiers, as Python computes them.
  static func ask(
    _ checkpoint: URL, _ golden: (ids: [[Int]], types: [[Int]]), adapters: [URL] = []
  ) throws -> SafetensorsFile {
    try withTemporaryFolder { folder in
      let (inputs, outputs) = (folder.appending(path: "in"), folder.appending(path: "out"))
      let (ids, types) = (golden.ids.flatMap { $0 }, golden.types.flatMap { $0 })
      try Safetensors.write(
        [
          ("ids", Tensor(ids, shape: [ids.count])), ("types", Tensor(types, shape: [types.count])),
          ("lengths", Tensor(golden.ids.map(\.count), shape: [golden.ids.count])),
        ], to: inputs)
      let process = Process()
      process.executableURL = python
      process.arguments =
        [Golden.folder.appending(path: "oracle.py"), checkpoint, inputs, outputs].map(\.path)
        + adapters.map(\.path)
      process.environment = ["HF_HUB_OFFLINE": "1", "HOME": NSHomeDirectory()]
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      let text = errors.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(String(decoding: text, as: UTF8.self))")
      return try SafetensorsFile(decoding: Data(contentsOf: outputs), name: "oracle")
    }
  }
}

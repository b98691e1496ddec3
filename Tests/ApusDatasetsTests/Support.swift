import ApusBase
import ApusDatasets
import ApusTestSupport
import Foundation
import Testing

/// A data set in memory with `counts[c]` examples of class c, the classes mixed.
func makeDataset(_ counts: [Int], owners: [String] = []) throws -> Dataset {
  var random = RandomStream(seed: 99)
  let labels = random.shuffled(
    counts.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) })
  let examples = labels.enumerated().map { position, label in
    Example(
      text: "text \(position)", label: label,
      client: owners.isEmpty ? nil : owners[position % owners.count],
      source: SourcePlace(file: "memory", line: position + 1))
  }
  return try Dataset(
    name: "memory", examples: examples, labelNames: counts.indices.map { "class \($0)" })
}

/// Runs `body` with a file of these bytes in a fresh folder, and removes the folder.
func withFile<Result>(
  _ name: String, _ bytes: some Sequence<UInt8>, _ body: (URL) throws -> Result
) throws -> Result {
  try withTemporaryFolder { folder in
    let url = folder.appending(path: name)
    try Data(Array(bytes)).write(to: url)
    return try body(url)
  }
}

/// The error of `body`, which must throw one.
func failure<Result>(_ body: () throws -> Result) throws -> ApusError {
  try #require(throws: ApusError.self) { _ = try body() }
}

/// Public data sets that lie beside the package on machines that have them.
let sharedData = packageRoot.appendingPathComponent("../shared/data").standardizedFileURL

let hasSharedData = FileManager.default.fileExists(atPath: sharedData.path)

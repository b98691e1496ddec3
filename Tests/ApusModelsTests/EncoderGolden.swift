import ApusBase
import ApusCore
import ApusModels
import ApusTorch
import Foundation
import Testing

/// What transformers and PEFT computed of a tiny checkpoint of some architecture.
struct EncoderGolden: CustomTestStringConvertible {
  /// Folders of `Tests/Fixtures` that `encoders.py` filled.
  static let names = [
    "roberta", "distilbert", "albert", "deberta_v2/v3", "deberta_v2/v2", "deberta_v2/content",
    "deberta_v2/conv", "deberta/base", "deberta/short",
  ]

  let name: String
  let file: SafetensorsFile
  let examples: [[Int]]
  let types: [[Int]]

  init(_ name: String) throws {
    self.name = name
    let folder = packageRoot.appending(path: "Tests/Fixtures/\(name)")
    file = try SafetensorsFile(contentsOf: folder.appending(path: "reference.safetensors"))
    var (ids, segments) = (try file.tensor("ids").ints[...], try file.tensor("types").ints[...])
    var (examples, types): ([[Int]], [[Int]]) = ([], [])
    for length in try file.tensor("lengths").ints {
      examples.append(Array(ids.prefix(length)))
      types.append(Array(segments.prefix(length)))
      (ids, segments) = (ids.dropFirst(length), segments.dropFirst(length))
    }
    (self.examples, self.types) = (examples, types)
  }

  var testDescription: String { name }
  var folder: URL { packageRoot.appending(path: "Tests/Fixtures/\(name)/tiny") }
  var batch: TokenBatch { get throws { try TokenBatch(examples, types: types) } }

  func model(
    _ pooling: Pooling = .cls, _ precision: Precision = .float32, labels: Int = 3
  ) throws -> TextClassifier {
    try Backbone(Checkpoint(folder: folder), precision: precision).makeClassifier(
      labels: labels, pooling: pooling, random: RandomStream(seed: 1))
  }
}

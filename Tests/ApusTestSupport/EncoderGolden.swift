import ApusBase
public import ApusModels
public import ApusTorch
public import Foundation
public import Testing

/// What transformers and PEFT computed of a tiny checkpoint of some architecture.
public struct EncoderGolden: CustomTestStringConvertible {
  /// Folders of `Tests/Fixtures` that `encoders.py` filled.
  public static let names = [
    "roberta", "distilbert", "albert", "deberta_v2/v3", "deberta_v2/v2", "deberta_v2/content",
    "deberta_v2/conv", "deberta/base", "deberta/short",
  ]

  /// One of ``names``.
  public let name: String
  /// The stored values.
  public let file: SafetensorsFile
  /// Token ids of each example.
  public let examples: [[Int]]
  /// Segments of each example's tokens.
  public let types: [[Int]]

  public init(_ name: String) throws {
    self.name = name
    file = try SafetensorsFile(
      contentsOf: packageRoot.appending(path: "Tests/Fixtures/\(name)/reference.safetensors"))
    (examples, types) = (try file.lists("ids"), try file.lists("types"))
  }

  public var testDescription: String { name }
  /// Where Python wrote an adapter.
  public var adapter: URL { packageRoot.appending(path: "Tests/Fixtures/\(name)/adapter") }
  /// Where the tiny checkpoint is.
  public var folder: URL { packageRoot.appending(path: "Tests/Fixtures/\(name)/tiny") }
  /// The examples as one batch.
  public var batch: TokenBatch { get throws { try TokenBatch(examples, types: types) } }

  /// A classifier over the tiny checkpoint.
  public func model(
    _ pooling: Pooling = .cls, _ precision: Precision = .float32, labels: Int = 3
  ) throws -> TextClassifier {
    try Backbone(Checkpoint(folder: folder), precision: precision).makeClassifier(
      labels: labels, pooling: pooling, random: RandomStream(seed: 1))
  }
}

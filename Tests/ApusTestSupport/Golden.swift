import ApusBase
public import ApusModels
public import ApusTorch
public import Foundation

extension SafetensorsFile {
  /// Lists that a fixture stores end to end under one name, and their lengths under another.
  func lists(_ name: String, lengths: String = "lengths") throws -> [[Int]] {
    var rest = try tensor(name).ints[...]
    return try tensor(lengths).ints.map { length in
      defer { rest = rest.dropFirst(length) }
      return Array(rest.prefix(length))
    }
  }
}

/// What transformers computed of the tiny BERT.
public struct Golden {
  /// Its folder in `Tests/Fixtures`.
  public static let folder = packageRoot.appending(path: "Tests/Fixtures/bert")
  /// The stored values.
  public let file: SafetensorsFile
  /// Token ids of each example.
  public let examples: [[Int]]
  /// Segments of each example's tokens.
  public let types: [[Int]]

  public init() throws {
    file = try SafetensorsFile(contentsOf: Self.folder.appending(path: "reference.safetensors"))
    (examples, types) = (try file.lists("ids"), try file.lists("types"))
  }

  /// The examples as one batch.
  public var batch: TokenBatch { get throws { try TokenBatch(examples, types: types) } }

  /// The tiny checkpoint.
  public static func backbone(_ precision: Precision = .float32) throws -> Backbone {
    try Backbone(Checkpoint(folder: folder.appending(path: "tiny")), precision: precision)
  }

  /// Its classifier of three classes.
  public static func model(
    _ pooling: Pooling = .cls, _ precision: Precision = .float32
  ) throws -> TextClassifier {
    try backbone(precision).makeClassifier(
      labels: 3, pooling: pooling, random: RandomStream(seed: 1))
  }
}

public import ApusModels
public import ApusTorch
public import Foundation
public import Testing

/// What transformers and PEFT computed of a tiny decoder.
public struct DecoderGolden: CustomTestStringConvertible {
  /// Folders of `Tests/Fixtures/decoders`, as make_decoders.py filled them.
  public static let names = [
    "llama", "llama3", "llama-linear", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gpt2",
  ]

  /// One of ``names``.
  public let name: String
  /// The stored values.
  public let file: SafetensorsFile

  public init(_ name: String) throws {
    self.name = name
    file = try SafetensorsFile(
      contentsOf: packageRoot.appending(path: "Tests/Fixtures/decoders/\(name)")
        .appending(path: "reference.safetensors"))
  }

  public var testDescription: String { name }
  /// The fixture's folder, with the checkpoint `tiny` and Python's adapter `adapter` in it.
  public var folder: URL { packageRoot.appending(path: "Tests/Fixtures/decoders/\(name)") }

  /// The tiny checkpoint as a language model.
  public func model(_ precision: Precision = .float32) throws -> CausalLanguageModel {
    try Backbone(Checkpoint(folder: folder.appending(path: "tiny")), precision: precision)
      .makeLanguageModel()
  }

  /// The places of a padded batch that are tokens, row by row.
  public func places(_ padding: String) throws -> [[Int]] {
    let mask = try file.tensor("\(padding).mask")
    let (flags, width) = (mask.ints, mask.size(1))
    return (0..<mask.size(0)).map { row in
      (0..<width).filter { flags[row * width + $0] != 0 }
    }
  }

  /// Values of a table [B, L] at the tokens.
  public func values(_ key: String, at places: [[Int]]) throws -> [[Int]] {
    let table = try file.tensor(key)
    let (all, width) = (table.ints, table.size(1))
    return places.enumerated().map { row, own in own.map { all[row * width + $0] } }
  }

  /// A batch without its padding; tokens keep the columns in which they stood.
  public func batch(_ padding: String) throws -> TokenBatch {
    let places = try places(padding)
    return try TokenBatch(values("\(padding).ids", at: places), positions: places)
  }

  /// Rows of a padded result [B, L, …] at the tokens.
  public func rows(_ key: String, _ padding: String) throws -> Tensor {
    let table = try file.tensor(key)
    let order = try places(padding).enumerated().flatMap { row, own in
      own.map { row * table.size(1) + $0 }
    }
    return table.reshaped([-1, table.size(-1)])
      .indexSelected(0, Tensor(order, shape: [order.count]))
  }

  /// The batch that has labels, and what is to follow each of its tokens.
  public func training() throws -> (batch: TokenBatch, targets: [Int]) {
    let places = try places("right")
    let ids = try values("right.ids", at: places)
    let labels = try values("labels", at: places)
    let targets = CausalLanguageModel.targets(ids) { labels[$0][$1] >= 0 }
    return (try TokenBatch(ids), targets)
  }
}

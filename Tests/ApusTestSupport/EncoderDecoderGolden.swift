public import ApusModels
public import ApusTorch
public import Foundation
public import Testing

/// What transformers and PEFT computed of a tiny encoder–decoder.
public struct EncoderDecoderGolden: CustomTestStringConvertible {
  /// Folders of `Tests/Fixtures/encoder_decoders`, as make_encoder_decoders.py filled them.
  public static let names = [
    "bart", "mbart", "t5", "t5-gated", "mt5", "longt5-local", "longt5-global", "led",
  ]

  /// One of ``names``.
  public let name: String
  /// The stored values.
  public let file: SafetensorsFile
  /// Token ids of the source of each example.
  public let sources: [[Int]]
  /// Token ids of the target of each example.
  public let targets: [[Int]]

  public init(_ name: String) throws {
    self.name = name
    file = try SafetensorsFile(
      contentsOf: packageRoot.appending(path: "Tests/Fixtures/encoder_decoders/\(name)")
        .appending(path: "reference.safetensors"))
    sources = try file.lists("sources", lengths: "source_lengths")
    targets = try file.lists("targets", lengths: "target_lengths")
  }

  public var testDescription: String { name }
  /// Where Python wrote an adapter.
  public var adapter: URL {
    packageRoot.appending(path: "Tests/Fixtures/encoder_decoders/\(name)/adapter")
  }
  /// Where the tiny checkpoint is.
  public var folder: URL {
    packageRoot.appending(path: "Tests/Fixtures/encoder_decoders/\(name)/tiny")
  }

  /// The tiny checkpoint as a model that writes.
  public func model(_ precision: Precision = .float32) throws -> SequenceToSequenceModel {
    try Backbone(Checkpoint(folder: folder), precision: precision).makeSequenceToSequenceModel()
  }
}

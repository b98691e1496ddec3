import ApusBase
import ApusCore
import ApusModels
import ApusTorch
import Foundation
import Testing

/// What transformers and PEFT computed of a tiny encoder–decoder.
struct EncoderDecoderGolden: CustomTestStringConvertible {
  /// Folders of `Tests/Fixtures/encoder_decoders`, as make_encoder_decoders.py filled them.
  static let names = [
    "bart", "mbart", "t5", "t5-gated", "mt5", "longt5-local", "longt5-global", "led",
  ]

  let name: String
  let file: SafetensorsFile
  let sources: [[Int]]
  let targets: [[Int]]

  init(_ name: String) throws {
    self.name = name
    let file = try SafetensorsFile(
      contentsOf: packageRoot.appending(path: "Tests/Fixtures/encoder_decoders/\(name)")
        .appending(path: "reference.safetensors"))
    let texts = { (kind: String) in
      var rest = try file.tensor("\(kind)s").ints[...]
      return try file.tensor("\(kind)_lengths").ints.map { length in
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
      }
    }
    self.file = file
    sources = try texts("source")
    targets = try texts("target")
  }

  var testDescription: String { name }
  var folder: URL {
    packageRoot.appending(path: "Tests/Fixtures/encoder_decoders/\(name)/tiny")
  }

  func model(_ precision: Precision = .float32) throws -> SequenceToSequenceModel {
    try Backbone(Checkpoint(folder: folder), precision: precision).makeSequenceToSequenceModel()
  }
}

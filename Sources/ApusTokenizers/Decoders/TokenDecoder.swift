import ApusBase

/// The step that turns tokens back into text.
protocol TokenDecoder: Sendable {
  /// The parts of the text, to be joined.
  func decode(_ tokens: [String]) -> [String]
}

/// The decoders that a tokenizer.json may name.
enum TokenDecoders {
  private typealias Make = @Sendable (JSONNode) throws(ApusError) -> any TokenDecoder

  private static let kinds: [String: Make] = [
    "BPEDecoder": SuffixDecoder.init(reading:),
    "ByteFallback": { _ in ByteFallback() },
    "ByteLevel": { _ in ByteLevelDecoder() },
    "Fuse": { _ in FuseDecoder() },
    "Metaspace": MetaspaceDecoder.init(reading:),
    "Replace": ReplaceDecoder.init(reading:),
    "Sequence": DecoderSequence.init(reading:),
    "Strip": StripDecoder.init(reading:),
    "WordPiece": WordPieceDecoder.init(reading:),
  ]

  /// The decoder described by `node`.
  static func make(reading node: JSONNode) throws(ApusError) -> any TokenDecoder {
    try Component.choose(from: kinds, of: "decoder", reading: node)(node)
  }
}

/// Puts spaces between tokens: what happens if the file names no decoder.
struct SpacedDecoder: TokenDecoder {
  func decode(_ tokens: [String]) -> [String] { [tokens.joined(separator: " ")] }
}

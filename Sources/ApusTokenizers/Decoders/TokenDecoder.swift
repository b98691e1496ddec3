import ApusBase

/// The step that turns tokens back into text.
protocol TokenDecoder: Sendable {
  func decode(_ tokens: [String]) -> String
}

/// The decoders that a tokenizer.json may name.
enum TokenDecoders {
  private typealias Make = @Sendable (JSONNode) throws(ApusError) -> any TokenDecoder

  private static let kinds: [String: Make] = ["WordPiece": WordPieceDecoder.init(reading:)]

  /// The decoder described by `node`.
  static func make(reading node: JSONNode) throws(ApusError) -> any TokenDecoder {
    try Component.choose(from: kinds, of: "decoder", reading: node)(node)
  }
}

/// Puts spaces between tokens: what happens if the file names no decoder.
struct SpacedDecoder: TokenDecoder {
  func decode(_ tokens: [String]) -> String { tokens.joined(separator: " ") }
}

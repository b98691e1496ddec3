import ApusBase

/// A step that cuts the normalized text into words.
protocol PreTokenizer: Sendable {
  func preTokenize(_ text: inout SplitText)
}

/// The pre-tokenizers that a tokenizer.json may name.
enum PreTokenizers {
  private typealias Make = @Sendable (JSONNode) throws(ApusError) -> any PreTokenizer

  private static let kinds: [String: Make] = [
    "BertPreTokenizer": { _ in BertPreTokenizer() },
    "ByteLevel": ByteLevel.init(reading:),
    "Digits": Digits.init(reading:),
    "Metaspace": Metaspace.init(reading:),
    "Punctuation": Punctuation.init(reading:),
    "Sequence": PreTokenizerSequence.init(reading:),
    "Split": Split.init(reading:),
    "Whitespace": { _ in Whitespace() },
    "WhitespaceSplit": { _ in WhitespaceSplit() },
  ]

  /// The pre-tokenizer described by `node`.
  static func make(reading node: JSONNode) throws(ApusError) -> any PreTokenizer {
    try Component.choose(from: kinds, of: "pre-tokenizer", reading: node)(node)
  }
}

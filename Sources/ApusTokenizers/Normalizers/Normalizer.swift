import ApusBase

/// A step that rewrites the text before it is cut into words.
protocol Normalizer: Sendable {
  func normalize(_ text: inout NormalizedText)
}

/// The normalizers that a tokenizer.json may name.
enum Normalizers {
  private typealias Make = @Sendable (JSONNode) throws(ApusError) -> any Normalizer

  private static let kinds: [String: Make] = [
    "BertNormalizer": BertNormalizer.init(reading:),
    "ByteLevel": { _ in ByteLevelNormalizer() },
    "Lowercase": { _ in Lowercase() },
    "NFC": { _ in UnicodeForm.nfc },
    "NFD": { _ in UnicodeForm.nfd },
    "NFKC": { _ in UnicodeForm.nfkc },
    "NFKD": { _ in UnicodeForm.nfkd },
    "Precompiled": Precompiled.init(reading:),
    "Prepend": Prepend.init(reading:),
    "Replace": Replace.init(reading:),
    "Sequence": NormalizerSequence.init(reading:),
    "Strip": Strip.init(reading:),
    "StripAccents": { _ in StripAccents() },
  ]

  /// The normalizer described by `node`.
  static func make(reading node: JSONNode) throws(ApusError) -> any Normalizer {
    try Component.choose(from: kinds, of: "normalizer", reading: node)(node)
  }
}

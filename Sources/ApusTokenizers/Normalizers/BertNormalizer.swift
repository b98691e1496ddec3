import ApusBase

/// BERT's text cleaning: control characters, Chinese characters, accents and case, in this order.
///
/// - Source: Devlin et al., arXiv 1810.04805, reference code `tokenization.py`, BasicTokenizer; the
///   order and the character classes are those of `tokenizers`.
struct BertNormalizer: Normalizer {
  let cleansText: Bool
  let isolatesChinese: Bool
  let stripsAccents: Bool
  let lowercases: Bool

  init(cleansText: Bool, isolatesChinese: Bool, stripsAccents: Bool?, lowercases: Bool) {
    self.cleansText = cleansText
    self.isolatesChinese = isolatesChinese
    self.stripsAccents = stripsAccents ?? lowercases
    self.lowercases = lowercases
  }

  init(reading node: JSONNode) throws(ApusError) {
    let strips = node["strip_accents"]
    self.init(
      cleansText: try node["clean_text"].bool(),
      isolatesChinese: try node["handle_chinese_chars"].bool(),
      stripsAccents: strips.exists ? try strips.bool() : nil,
      lowercases: try node["lowercase"].bool())
  }

  func normalize(_ text: inout NormalizedText) {
    if cleansText { text.compactMap(Self.cleaned) }
    if isolatesChinese, text.scalars.contains(where: Self.isChinese) {
      text.flatMap { scalar, output in
        output.append(contentsOf: Self.isChinese(scalar) ? [" ", scalar, " "] : [scalar])
      }
    }
    // Nothing below U+00C0 carries an accent.
    if stripsAccents, text.scalars.contains(where: { $0.value >= 0xC0 }) {
      UnicodeForm.nfd.normalize(&text)
      text.compactMap { $0.has(.nonspacing) ? nil : $0 }
    }
    if lowercases { Lowercase().normalize(&text) }
  }

  /// A space for any white space, nil for what is dropped.
  @inline(__always)
  private static func cleaned(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    let traits = ScalarTraits(of: scalar)
    if traits.contains(.control) || scalar == "\u{FFFD}" { return nil }
    return traits.contains(.whitespace) ? " " : scalar
  }

  // The library starts extension E at U+2B920, a hundred characters late, and so do we.
  @inline(__always)
  private static func isChinese(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case ..<0x3400: false
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0xF900...0xFAFF: true
    case 0x2_0000...0x2_A6DF, 0x2_A700...0x2_B73F, 0x2_B740...0x2_B81F: true
    case 0x2_B920...0x2_CEAF, 0x2_F800...0x2_FA1F: true
    default: false
    }
  }
}

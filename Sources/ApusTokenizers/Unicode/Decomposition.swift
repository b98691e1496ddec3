import Foundation

/// Full decompositions of single scalars, limited to Unicode 9 like the table behind `tokenizers`.
///
/// The mappings come from Foundation, once per process; by Unicode's stability policy they never
/// change for a scalar that has been assigned.
struct Decomposition: Sendable {
  /// NFD's mapping.
  static let canonical = Decomposition { $0.decomposedStringWithCanonicalMapping }
  /// NFKD's mapping.
  static let compatible = Decomposition { $0.decomposedStringWithCompatibilityMapping }

  /// Scalars that decompose, Hangul syllables apart, with what they decompose to.
  let mappings: [Unicode.Scalar: [Unicode.Scalar]]
  /// For each block of 256 scalars, whether any of it decomposes.
  private let blocks: [Bool]

  // Outside of these ranges nothing decomposes but Hangul, which follows a formula.
  private static let candidates: [Range<UInt32>] = [
    0xA0..<0x3400, 0xA000..<0xAC00, 0xF900..<0x1_0000, 0x1_1000..<0x1_1800,
    0x1_D100..<0x1_D800, 0x1_EE00..<0x1_F300, 0x2_F800..<0x2_FA20,
  ]

  private init(_ decompose: (String) -> String) {
    var mappings: [Unicode.Scalar: [Unicode.Scalar]] = [:]
    var blocks = [Bool](repeating: false, count: 0x1100)
    for value in Self.candidates.joined() {
      guard let scalar = Unicode.Scalar(value), scalar.unicodeAge <= 9 else { continue }
      let parts = Array(decompose(String(Character(scalar))).unicodeScalars)
      guard parts != [scalar] else { continue }
      mappings[scalar] = parts
      blocks[Int(value >> 8)] = true
    }
    self.mappings = mappings
    self.blocks = blocks
  }

  /// The parts of `scalar`, or nil if it does not decompose.
  @inline(__always)
  subscript(scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    let value = scalar.value
    if value < 0xA0 { return nil }
    if Hangul.syllables.contains(value) { return Hangul.parts(of: value) }
    return blocks[Int(value >> 8)] ? mappings[scalar] : nil
  }
}

/// The formulas by which Hangul syllables are taken apart and put together.
///
/// - Source: The Unicode Standard, section 3.12, "Conjoining Jamo Behavior".
enum Hangul {
  static let syllables: Range<UInt32> = 0xAC00..<0xD7A4
  private static let leads: Range<UInt32> = 0x1100..<0x1113
  private static let vowels: Range<UInt32> = 0x1161..<0x1176
  private static let tails: Range<UInt32> = 0x11A8..<0x11C3

  /// Lead, vowel and, if there is one, tail.
  static func parts(of syllable: UInt32) -> [Unicode.Scalar] {
    let index = syllable - syllables.lowerBound
    let lead = leads.lowerBound + index / 588
    let vowel = vowels.lowerBound + index % 588 / 28
    let tail = tails.lowerBound - 1 + index % 28
    let parts = tails.contains(tail) ? [lead, vowel, tail] : [lead, vowel]
    return parts.compactMap(Unicode.Scalar.init)
  }

  /// The syllable of a lead and a vowel, or of a syllable without tail and a tail.
  static func composed(_ first: UInt32, _ second: UInt32) -> Unicode.Scalar? {
    if leads.contains(first), vowels.contains(second) {
      let index = (first - leads.lowerBound) * 588 + (second - vowels.lowerBound) * 28
      return Unicode.Scalar(syllables.lowerBound + index)
    }
    guard syllables.contains(first), (first - syllables.lowerBound).isMultiple(of: 28),
      tails.contains(second)
    else { return nil }
    return Unicode.Scalar(first + second - (tails.lowerBound - 1))
  }
}

/// The letters by which GPT-2 spells bytes: visible characters stand for themselves, the others for
/// characters from U+0100 on.
///
/// - Source: Radford et al., "Language models are unsupervised multitask learners", 2019, reference
///   code `encoder.py`, `bytes_to_unicode`.
enum ByteAlphabet {
  /// For each byte its letter.
  static let letters: ContiguousArray<Unicode.Scalar> = {
    var letters = ContiguousArray<Unicode.Scalar>()
    var next: UInt32 = 0x100
    for byte in UInt32(0)..<0x100 {
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
        letters.append(Unicode.Scalar(UInt8(truncatingIfNeeded: byte)))
      default:
        letters.append(Unicode.Scalar(next) ?? "?")
        next += 1
      }
    }
    return letters
  }()

  /// The letter that stands for a space.
  static let space: Unicode.Scalar = "\u{120}"

  private static let bytes: ContiguousArray<UInt8?> = {
    var bytes = ContiguousArray<UInt8?>(repeating: nil, count: 0x180)
    for (byte, letter) in letters.enumerated() {
      bytes[Int(letter.value)] = UInt8(truncatingIfNeeded: byte)
    }
    return bytes
  }()

  /// The byte for which a letter stands, or nil.
  static func byte(of letter: Unicode.Scalar) -> UInt8? {
    letter.value < 0x180 ? bytes[Int(letter.value)] : nil
  }
}

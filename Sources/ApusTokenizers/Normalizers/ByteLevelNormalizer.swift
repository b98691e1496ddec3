/// Spells the bytes of the text in ``ByteAlphabet``.
struct ByteLevelNormalizer: Normalizer {
  func normalize(_ text: inout NormalizedText) {
    text.flatMap { scalar, output in
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
        output.append(ByteAlphabet.letters[Int(byte)])
      }
    }
  }
}

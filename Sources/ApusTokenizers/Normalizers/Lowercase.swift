/// Lowercases every scalar by itself, so that final sigma stays σ.
struct Lowercase: Normalizer {
  func normalize(_ text: inout NormalizedText) {
    if text.scalars.allSatisfy({ $0.value < 0x80 }) {
      text.compactMap { scalar in
        guard (0x41...0x5A).contains(scalar.value) else { return scalar }
        return Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value) | 0x20)
      }
    } else if text.scalars.contains(where: { $0.has(.cased) }) {
      text.flatMap { scalar, output in
        if scalar.has(.cased) {
          output.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        } else {
          output.append(scalar)
        }
      }
    }
  }
}

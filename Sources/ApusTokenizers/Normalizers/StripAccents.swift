/// Drops combining marks, so it is used after NFD or NFKD.
struct StripAccents: Normalizer {
  func normalize(_ text: inout NormalizedText) {
    text.compactMap { $0.has(.mark) ? nil : $0 }
  }
}

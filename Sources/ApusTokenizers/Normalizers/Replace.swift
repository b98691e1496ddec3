import ApusBase

/// Replaces every occurrence of a pattern by a text.
struct Replace: Normalizer {
  let pattern: TextPattern
  let content: [Unicode.Scalar]

  init(pattern: TextPattern, content: String) {
    self.pattern = pattern
    self.content = Array(content.unicodeScalars)
  }

  init(reading node: JSONNode) throws(ApusError) {
    self.init(
      pattern: try TextPattern(reading: node["pattern"]), content: try node["content"].string())
  }

  func normalize(_ text: inout NormalizedText) {
    let matches = pattern.matches(in: text.scalars, 0..<text.count).filter { !$0.isEmpty }
    text.replace(matches, with: content)
  }
}

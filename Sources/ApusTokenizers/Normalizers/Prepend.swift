import ApusBase

/// Puts a text before every text that is not empty.
struct Prepend: Normalizer {
  let prefix: [Unicode.Scalar]

  init(_ prefix: String) { self.prefix = Array(prefix.unicodeScalars) }

  init(reading node: JSONNode) throws(ApusError) {
    self.init(try node["prepend"].string())
  }

  func normalize(_ text: inout NormalizedText) { text.prepend(prefix) }
}

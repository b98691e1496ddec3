import ApusBase

/// Replaces every occurrence of a text by another.
struct Replace: Normalizer {
  let pattern: [Unicode.Scalar]
  let content: [Unicode.Scalar]

  init(reading node: JSONNode) throws(ApusError) {
    let source = node["pattern"]
    guard !source["Regex"].exists else {
      throw ApusError(
        .unsupported, at: source["Regex"].place,
        "the normalizer Replace knows no regular expressions in Apus",
        remedy: "Use a tokenizer whose pattern is a String")
    }
    pattern = Array(try source["String"].string().unicodeScalars)
    guard !pattern.isEmpty else {
      throw source["String"].error(
        "an empty pattern occurs everywhere", remedy: "Give the text that is to be replaced")
    }
    content = Array(try node["content"].string().unicodeScalars)
  }

  func normalize(_ text: inout NormalizedText) {
    var matches: [Range<Int>] = []
    var place = 0
    while place + pattern.count <= text.count {
      if text.scalars[place..<(place + pattern.count)].elementsEqual(pattern) {
        matches.append(place..<(place + pattern.count))
        place += pattern.count
      } else {
        place += 1
      }
    }
    text.replace(matches, with: content)
  }
}

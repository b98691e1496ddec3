import ApusBase

/// Cuts at what a pattern matches, or between.
struct Split: PreTokenizer {
  let pattern: TextPattern
  let behavior: SplitBehavior
  let isInverted: Bool

  init(reading node: JSONNode) throws(ApusError) {
    pattern = try TextPattern(reading: node["pattern"])
    behavior = try SplitBehavior(reading: node["behavior"])
    isInverted = try node["invert"].bool()
  }

  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      behavior.split(
        range, at: pattern.matches(in: text.scalars, range), isInverted: isInverted, into: &pieces)
    }
  }
}

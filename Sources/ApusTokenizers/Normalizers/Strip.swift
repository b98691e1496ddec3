import ApusBase

/// Drops white space at the ends of the text.
struct Strip: Normalizer {
  let left: Bool
  let right: Bool

  init(left: Bool, right: Bool) {
    self.left = left
    self.right = right
  }

  init(reading node: JSONNode) throws(ApusError) {
    left = try node["strip_left"].bool()
    right = try node["strip_right"].bool()
  }

  func normalize(_ text: inout NormalizedText) {
    var range = 0..<text.count
    if left {
      let start = text.scalars.firstIndex { !$0.has(.whitespace) }
      range = (start ?? text.count)..<text.count
    }
    if right {
      let last = text.scalars[range].lastIndex { !$0.has(.whitespace) }
      range = range.lowerBound..<(last.map { $0 + 1 } ?? range.lowerBound)
    }
    text.keep(range)
  }
}

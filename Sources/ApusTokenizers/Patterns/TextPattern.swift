import ApusBase

/// What a tokenizer.json looks for in a text: a string, or a regular expression.
enum TextPattern: Sendable {
  case string([Unicode.Scalar])
  case expression(PatternProgram)

  /// Reads `{"String": …}` or `{"Regex": …}`.
  init(reading node: JSONNode) throws(ApusError) {
    let expression = node["Regex"]
    if expression.exists {
      self = .expression(try PatternProgram(try expression.string(), at: expression.place))
      return
    }
    let text = Array(try node["String"].string().unicodeScalars)
    guard !text.isEmpty else {
      throw node["String"].error(
        "an empty pattern occurs everywhere", remedy: "Give the text that is to be found")
    }
    self = .string(text)
  }

  /// All occurrences in the part `range`, from left to right and apart from each other.
  func matches(
    in scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>
  ) -> [Range<Int>] {
    switch self {
    case .expression(let program): return program.matches(in: scalars, range)
    case .string(let pattern):
      var matches: [Range<Int>] = []
      var place = range.lowerBound
      while place + pattern.count <= range.upperBound {
        if scalars[place] == pattern[0],
          scalars[place..<(place + pattern.count)].elementsEqual(pattern)
        {
          matches.append(place..<(place + pattern.count))
          place += pattern.count
        } else {
          place += 1
        }
      }
      return matches
    }
  }
}

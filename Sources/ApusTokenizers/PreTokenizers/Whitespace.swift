/// Cuts at white space, and between runs of word characters and of other characters.
struct Whitespace: PreTokenizer {
  private enum Kind {
    case space
    case word
    case other

    init(of scalar: Unicode.Scalar) {
      let traits = ScalarTraits(of: scalar)
      self = traits.contains(.word) ? .word : traits.contains(.whitespace) ? .space : .other
    }
  }

  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      var start = range.lowerBound
      var run = Kind.space
      for index in range {
        let kind = Kind(of: text.scalars[index])
        guard kind != run else { continue }
        if run != .space { pieces.append(start..<index) }
        (start, run) = (index, kind)
      }
      if run != .space { pieces.append(start..<range.upperBound) }
    }
  }
}

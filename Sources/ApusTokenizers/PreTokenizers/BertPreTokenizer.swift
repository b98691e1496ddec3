/// Cuts at white space, and around each punctuation mark.
struct BertPreTokenizer: PreTokenizer {
  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      var start = range.lowerBound
      for index in range {
        let traits = ScalarTraits(of: text.scalars[index])
        guard !traits.isDisjoint(with: [.whitespace, .punctuation]) else { continue }
        pieces.append(start..<index)
        if traits.contains(.punctuation) { pieces.append(index..<(index + 1)) }
        start = index + 1
      }
      pieces.append(start..<range.upperBound)
    }
  }
}

/// Cuts at white space.
struct WhitespaceSplit: PreTokenizer {
  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      var start = range.lowerBound
      for index in range where text.scalars[index].has(.whitespace) {
        pieces.append(start..<index)
        start = index + 1
      }
      pieces.append(start..<range.upperBound)
    }
  }
}

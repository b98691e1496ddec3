import ApusBase

/// Cuts at punctuation marks.
struct Punctuation: PreTokenizer {
  let behavior: SplitBehavior

  init(reading node: JSONNode) throws(ApusError) {
    let field = node["behavior"]
    behavior = field.exists ? try SplitBehavior(reading: field) : .isolated
  }

  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      behavior.split(range, into: &pieces) { text.scalars[$0].has(.punctuation) }
    }
  }
}

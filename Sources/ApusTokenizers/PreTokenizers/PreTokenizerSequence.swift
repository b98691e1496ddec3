import ApusBase

/// Several pre-tokenizers, one after the other.
struct PreTokenizerSequence: PreTokenizer {
  let steps: [any PreTokenizer]

  init(reading node: JSONNode) throws(ApusError) {
    var steps: [any PreTokenizer] = []
    for step in try node["pretokenizers"].array() {
      steps.append(try PreTokenizers.make(reading: step))
    }
    self.steps = steps
  }

  func preTokenize(_ text: inout SplitText) {
    for step in steps { step.preTokenize(&text) }
  }
}

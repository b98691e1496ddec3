import ApusBase

/// Several normalizers, one after the other.
struct NormalizerSequence: Normalizer {
  let steps: [any Normalizer]

  init(_ steps: [any Normalizer]) { self.steps = steps }

  init(reading node: JSONNode) throws(ApusError) {
    var steps: [any Normalizer] = []
    for step in try node["normalizers"].array() {
      steps.append(try Normalizers.make(reading: step))
    }
    self.steps = steps
  }

  func normalize(_ text: inout NormalizedText) {
    for step in steps { step.normalize(&text) }
  }
}

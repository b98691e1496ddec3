import ApusBase

/// Byte-level offset trimming, and then a post-processor that adds special tokens.
struct ProcessorSequence: PostProcessor {
  private let trimmings: [ByteLevelProcessing]
  private let last: any PostProcessor

  init(reading node: JSONNode) throws(ApusError) {
    var trimmings: [ByteLevelProcessing] = []
    var last: (any PostProcessor)?
    for step in try node["processors"].array() {
      let processor = try PostProcessors.make(reading: step)
      guard last == nil else {
        throw ApusError(
          .unsupported, at: step.place,
          "Apus knows no post-processor behind one that adds special tokens",
          remedy: "Use a tokenizer whose sequence is ByteLevel and one other post-processor")
      }
      if let trimming = processor as? ByteLevelProcessing {
        trimmings.append(trimming)
      } else {
        last = processor
      }
    }
    self.trimmings = trimmings
    self.last = last ?? PlainJoin()
  }

  func specialCount(isPair: Bool) -> Int { last.specialCount(isPair: isPair) }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    let trimmed = trimmings.reduce(runs) { $1.trimmed($0) }
    return last.assemble(trimmed, addSpecialTokens: addSpecialTokens)
  }
}

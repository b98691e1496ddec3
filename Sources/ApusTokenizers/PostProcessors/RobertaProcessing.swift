import ApusBase

/// RoBERTa's format: `<s> A </s>`, or `<s> A </s></s> B </s>`, all of type 0.
struct RobertaProcessing: PostProcessor {
  private let format: BertProcessing
  private let trimming: OffsetTrimming?

  /// The format with offsets trimmed.
  init(
    classification: BertProcessing.Special, separator: BertProcessing.Special, hasPrefixSpace: Bool
  ) {
    format = BertProcessing(classification: classification, separator: separator)
    trimming = OffsetTrimming(ignoresPrefixSpace: hasPrefixSpace)
  }

  init(reading node: JSONNode) throws(ApusError) {
    format = try BertProcessing(reading: node)
    let trims = try node["trim_offsets"].bool()
    let hasPrefix = try node["add_prefix_space"].bool()
    trimming = trims ? OffsetTrimming(ignoresPrefixSpace: hasPrefix) : nil
  }

  func specialCount(isPair: Bool) -> Int { isPair ? 4 : 2 }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    var encoding = Encoding()
    for (index, run) in runs.enumerated() {
      var run = run
      trimming?.trim(&run)
      if addSpecialTokens {
        let first = index == 0 ? format.classification : format.separator
        encoding.append(special: first.token, id: first.id, typeID: 0)
      }
      encoding.append(run, typeID: 0)
      if addSpecialTokens {
        encoding.append(special: format.separator.token, id: format.separator.id, typeID: 0)
      }
    }
    return encoding
  }
}

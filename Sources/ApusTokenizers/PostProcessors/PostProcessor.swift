import ApusBase

/// The step that puts special tokens around the tokens of one text or two.
protocol PostProcessor: Sendable {
  /// Number of special tokens added to one text, or to a pair.
  func specialCount(isPair: Bool) -> Int

  /// Joins one run of tokens, or two.
  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding
}

/// The post-processors that a tokenizer.json may name.
enum PostProcessors {
  private typealias Make = @Sendable (JSONNode) throws(ApusError) -> any PostProcessor

  private static let kinds: [String: Make] = [
    "BertProcessing": BertProcessing.init(reading:),
    "ByteLevel": ByteLevelProcessing.init(reading:),
    "RobertaProcessing": RobertaProcessing.init(reading:),
    "Sequence": ProcessorSequence.init(reading:),
    "TemplateProcessing": TemplateProcessing.init(reading:),
  ]

  /// The post-processor described by `node`.
  static func make(reading node: JSONNode) throws(ApusError) -> any PostProcessor {
    try Component.choose(from: kinds, of: "post-processor", reading: node)(node)
  }
}

/// Adds no special tokens: what happens if the file names no post-processor.
struct PlainJoin: PostProcessor {
  func specialCount(isPair: Bool) -> Int { 0 }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    var encoding = Encoding()
    for (index, run) in runs.enumerated() { encoding.append(run, typeID: index) }
    return encoding
  }
}

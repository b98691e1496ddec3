public import ApusBase
public import ApusTraining

/// Section `task`: what the model is trained to do.
public struct TaskOptions: OptionGroup, Equatable {
  /// Where the text of a prompt comes from.
  public enum Template: String, Codable, Sendable, CaseIterable {
    /// The form of Stanford Alpaca.
    case alpaca
    /// The same without its first paragraph.
    case alpacaShort = "alpaca-short"
    /// Instruction, input and response on lines of their own.
    case plain
    /// The conversations of the checkpoint.
    case chat
    /// `template-text`.
    case own
  }

  /// The task.
  public var kind = TaskKind.sequenceClassification
  /// How an instruction becomes a prompt; for `causal-lm`.
  public var template = Template.alpaca
  /// A template of one's own, with {instruction}, {input} and {response}.
  public var templateText: String?
  /// The same for instructions without an input; nothing to leave {input} empty.
  public var templateTextWithoutInput: String?
  /// Whether the loss counts the tokens of responses alone; for `causal-lm`.
  public var responseOnly = true
  /// Put in front of every source, such as "summarize: "; for `seq2seq`.
  public var sourcePrefix = ""
  /// The token that targets begin with, such as the language of a translation; for `seq2seq`.
  public var targetStart: String?
  /// Tokens of a target at most; for `seq2seq`.
  public var maxTargetLength = 64
  /// Share of a target that is spread evenly over the vocabulary in training; for `seq2seq`.
  public var labelSmoothing = 0.0
  /// Tokens that evaluation lets the model write, for BLEU and ROUGE; 0 to measure the loss alone.
  public var writtenTokens = 0
  /// Texts that are pursued at the same time while it writes.
  public var numBeams = 1
  /// Tokens at the beginning of every source that see all of it; for `seq2seq` with LED.
  public var globalTokens = 0
  /// Names of the tags, in order, where rows have numbers; for `token-classification`.
  public var tagNames: [String] = []
  /// A sentence with {text}, {pair} and {mask}; for `masked-lm`.
  public var prompt = "{text} It was {mask}."
  /// For each class its words, separated by commas; for `masked-lm`.
  public var verbalizer: [String: String] = [:]

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      (template == .own) == (templateText != nil), "template-text",
      template == .own ? "there is no template" : "the template \(template.rawValue) has a text",
      remedy: template == .own
        ? "Write one with {instruction} and {response}" : "Set template to own, or remove this")
    try require(
      (0..<1).contains(labelSmoothing), "label-smoothing", "\(labelSmoothing) is no share",
      remedy: "Give a number in 0..<1")
    try require(
      maxTargetLength >= 2 && writtenTokens >= 0 && numBeams >= 1 && globalTokens >= 0,
      "max-target-length", "a number of tokens or beams is too small",
      remedy: "Give max-target-length ≥ 2, num-beams ≥ 1, and the others ≥ 0")
    _ = try promptTemplate
  }

  /// The template of prompts; nil for the checkpoint's own conversations.
  var promptTemplate: PromptTemplate? {
    get throws(ApusError) {
      switch template {
      case .alpaca: .alpaca
      case .alpacaShort: .alpacaShort
      case .plain: .plain
      case .chat: nil
      case .own:
        try PromptTemplate(templateText ?? "", withoutInput: templateTextWithoutInput)
      }
    }
  }
}

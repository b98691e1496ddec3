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

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      (template == .own) == (templateText != nil), "template-text",
      template == .own ? "there is no template" : "the template \(template.rawValue) has a text",
      remedy: template == .own
        ? "Write one with {instruction} and {response}" : "Set template to own, or remove this")
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

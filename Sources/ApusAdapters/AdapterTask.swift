internal import ApusBase

/// What an adapter was trained for, by the name that PEFT gives it.
public enum AdapterTask: String, Sendable, Codable, CaseIterable {
  /// One class a text.
  case sequenceClassification = "SEQ_CLS"
  /// The next token.
  case causalLanguageModel = "CAUSAL_LM"
  /// Another text beside a source.
  case sequenceToSequence = "SEQ_2_SEQ_LM"

  /// A tag for every word.
  case tokenClassification = "TOKEN_CLS"
  /// Where in a text an answer stands.
  case questionAnswering = "QUESTION_ANS"
  /// The word behind a mask; PEFT has no name for it, and adapter files none.
  case maskedLanguageModel = "MASKED_LM"

  /// Reads `task_type`; nil if there is none.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for another task.
  init?(peft node: JSONNode) throws(ApusError) {
    guard node.exists else { return nil }
    let found = try node.string()
    guard let known = Self(rawValue: found), known != .maskedLanguageModel else {
      throw ApusError(
        .unsupported, at: node.place, "\"\(found)\" is not supported",
        remedy: Spelling.remedy(for: found, allowed: Self.allCases.compactMap(\.peftName)))
    }
    self = known
  }

  /// `task_type` in adapter files; nil where PEFT has no name.
  var peftName: String? { self == .maskedLanguageModel ? nil : rawValue }

  /// Whether a head is trained, or drawn, beside the backbone, so that the adapter has to store it.
  public var hasHead: Bool { !headNames.isEmpty }

  /// The modules of heads that PEFT stores with adapters for the task.
  var headNames: [String] {
    switch self {
    case .sequenceClassification, .tokenClassification: TrainedModules.headNames
    case .questionAnswering: ["qa_outputs"]
    case .causalLanguageModel, .sequenceToSequence, .maskedLanguageModel: []
    }
  }

  /// The class of PEFT that opens an adapter, and the Hub's word for the task.
  var opener: (className: String, pipelineTag: String) {
    switch self {
    case .sequenceClassification:
      ("AutoPeftModelForSequenceClassification", "text-classification")
    case .causalLanguageModel: ("AutoPeftModelForCausalLM", "text-generation")
    case .sequenceToSequence: ("AutoPeftModelForSeq2SeqLM", "text2text-generation")
    case .tokenClassification:
      ("AutoPeftModelForTokenClassification", "token-classification")
    case .questionAnswering: ("AutoPeftModelForQuestionAnswering", "question-answering")
    case .maskedLanguageModel: ("PeftModel", "fill-mask")
    }
  }
}

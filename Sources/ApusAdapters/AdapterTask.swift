import ApusBase

/// What an adapter was trained for, by the name that PEFT gives it.
public enum AdapterTask: String, Sendable, Codable, CaseIterable {
  /// One class a text.
  case sequenceClassification = "SEQ_CLS"
  /// The next token.
  case causalLanguageModel = "CAUSAL_LM"
  /// Another text beside a source.
  case sequenceToSequence = "SEQ_2_SEQ_LM"

  /// Reads `task_type`; nil if there is none.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for another task.
  init?(peft node: JSONNode) throws(ApusError) {
    guard node.exists else { return nil }
    let found = try node.string()
    guard let known = Self(rawValue: found) else {
      throw ApusError(
        .unsupported, at: node.place, "\"\(found)\" is not supported",
        remedy: Spelling.remedy(for: found, allowed: Self.allCases.map(\.rawValue)))
    }
    self = known
  }

  /// Whether a head is trained, or drawn, beside the backbone, so that the adapter has to store it.
  public var hasHead: Bool { self == .sequenceClassification }

  /// How the Hub tags such models.
  var hubTag: String {
    switch self {
    case .sequenceClassification: "text-classification"
    case .causalLanguageModel, .sequenceToSequence: "text-generation"
    }
  }

  /// The class of Python's PEFT that opens such adapters with their base model.
  var pythonClass: String {
    switch self {
    case .sequenceClassification: "AutoPeftModelForSequenceClassification"
    case .causalLanguageModel: "AutoPeftModelForCausalLM"
    case .sequenceToSequence: "AutoPeftModelForSeq2SeqLM"
    }
  }
}

public import ApusAdapters
public import ApusCore

/// What models are trained to do, as an experiment file names it.
public enum TaskKind: String, Codable, Sendable, CaseIterable {
  /// One class a text.
  case sequenceClassification = "sequence-classification"
  /// The next token of a response.
  case causalLanguageModel = "causal-lm"
  /// Another text beside a source.
  case sequenceToSequence = "seq2seq"
  /// A tag for every word, such as entities in BIO form.
  case tokenClassification = "token-classification"
  /// One class a text, told by the word behind a mask.
  case maskedLanguageModel = "masked-lm"
  /// Where in a text the answer to a question stands.
  case extractiveAnswer = "extractive-qa"

  /// Metrics from the sums over rows; empty without rows.
  public func metrics(of sums: [String: Double]) -> Metrics {
    switch self {
    case .sequenceClassification, .maskedLanguageModel: ClassificationScores(sums: sums).metrics
    case .causalLanguageModel: LanguageScores(sums: sums).metrics
    case .sequenceToSequence: WritingScores.metrics(of: sums)
    case .tokenClassification: TagScores.metrics(of: sums)
    case .extractiveAnswer: AnswerScores.metrics(of: sums)
    }
  }

  /// The task by the name that PEFT gives it.
  public var adapterTask: AdapterTask {
    switch self {
    case .sequenceClassification: .sequenceClassification
    case .causalLanguageModel: .causalLanguageModel
    case .sequenceToSequence: .sequenceToSequence
    case .tokenClassification: .tokenClassification
    case .maskedLanguageModel: .maskedLanguageModel
    case .extractiveAnswer: .questionAnswering
    }
  }

  /// The metric by which the best round is told, the larger the better.
  public var headline: String {
    switch self {
    case .sequenceClassification, .maskedLanguageModel: "accuracy"
    case .causalLanguageModel, .sequenceToSequence: "token_accuracy"
    case .tokenClassification: "entity_f1"
    case .extractiveAnswer: "answer_f1"
    }
  }
}

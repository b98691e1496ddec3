public import ApusAdapters
public import ApusCore

/// What models are trained to do, as an experiment file names it.
public enum TaskKind: String, Codable, Sendable, CaseIterable {
  /// One class a text.
  case sequenceClassification = "sequence-classification"
  /// The next token of a response.
  case causalLanguageModel = "causal-lm"

  /// Metrics from the sums over rows; empty without rows.
  public func metrics(of sums: [String: Double]) -> Metrics {
    switch self {
    case .sequenceClassification: ClassificationScores(sums: sums).metrics
    case .causalLanguageModel: LanguageScores(sums: sums).metrics
    }
  }

  /// The task by the name that PEFT gives it.
  public var adapterTask: AdapterTask {
    switch self {
    case .sequenceClassification: .sequenceClassification
    case .causalLanguageModel: .causalLanguageModel
    }
  }

  /// The metric by which the best round is told, the larger the better.
  public var headline: String {
    switch self {
    case .sequenceClassification: "accuracy"
    case .causalLanguageModel: "token_accuracy"
    }
  }
}

public import ApusCore
import ApusTorch
import Foundation

/// Sums over the tokens that count, from which the metrics of a language model follow; parts can be
/// added.
public struct LanguageScores: Sendable, Equatable {
  /// The sums by name: `count`, `loss` and `correct`.
  public private(set) var sums: [String: Double] = [:]

  /// Nothing measured.
  public init() {}

  /// Goes on from sums that were measured elsewhere.
  public init(sums: [String: Double]) { self.sums = sums }

  /// Counts the tokens of one batch.
  ///
  /// - Shapes: logits [n, V], targets [n].
  mutating func add(logits: Tensor, targets: Tensor) {
    guard targets.count > 0 else { return }
    let hits = (logits.argmax(1) .== targets).to(.float32).sum().item
    let parts = [
      "loss": crossEntropy(logits, targets, sum: true).item, "count": Double(targets.count),
      "correct": hits,
    ]
    sums.merge(parts) { $0 + $1 }
  }

  /// Mean loss in nats, its exponential (perplexity), and the share of tokens that are the likeliest
  /// where they stand; empty without tokens.
  public var metrics: Metrics {
    guard let count = sums["count"], count > 0 else { return [:] }
    let loss = (sums["loss"] ?? 0) / count
    return [
      "loss": loss, "perplexity": exp(loss), "token_accuracy": (sums["correct"] ?? 0) / count,
    ]
  }
}

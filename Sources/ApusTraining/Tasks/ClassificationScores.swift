public import ApusCore
import ApusTorch

/// Sums over rows from which the metrics of a classification follow; parts can be added.
public struct ClassificationScores: Sendable, Equatable {
  /// The sums by name, such as `count`, `loss` and `correct`.
  public private(set) var sums: [String: Double] = [:]

  /// Nothing measured.
  public init() {}

  /// Goes on from sums that were measured elsewhere.
  public init(sums: [String: Double]) { self.sums = sums }

  /// Counts the rows of one batch.
  ///
  /// - Shapes: logits [n, C], labels [n].
  mutating func add(logits: Tensor, labels: Tensor) {
    let truths = labels.ints
    let guesses = logits.argmax(1).ints
    add("loss", crossEntropy(logits, labels, sum: true).item)
    add("count", Double(truths.count))
    for (truth, guess) in zip(truths, guesses) {
      add("true/\(truth)", 1)
      add("guessed/\(guess)", 1)
      if truth == guess {
        add("hit/\(truth)", 1)
        add("correct", 1)
      }
    }
  }

  /// Adds the sums of another part.
  public mutating func add(_ other: [String: Double]) {
    for (name, value) in other { add(name, value) }
  }

  /// Accuracy, mean loss in nats and macro-averaged F1; empty without rows.
  ///
  /// F1 is averaged over the classes that occur among the rows or the guesses, as scikit-learn
  /// does.
  public var metrics: Metrics {
    guard let count = sums["count"], count > 0 else { return [:] }
    var classes: Set<Substring> = []
    for name in sums.keys where name.hasPrefix("true/") || name.hasPrefix("guessed/") {
      classes.insert(name.split(separator: "/")[1])
    }
    let scores = classes.sorted().map { label in
      2 * (sums["hit/\(label)"] ?? 0)
        / ((sums["true/\(label)"] ?? 0) + (sums["guessed/\(label)"] ?? 0))
    }
    return [
      "accuracy": (sums["correct"] ?? 0) / count,
      "loss": (sums["loss"] ?? 0) / count,
      "macro_f1": scores.reduce(0, +) / Double(max(1, scores.count)),
    ]
  }

  private mutating func add(_ name: String, _ value: Double) { sums[name, default: 0] += value }
}

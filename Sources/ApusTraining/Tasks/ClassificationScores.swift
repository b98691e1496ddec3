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

  /// Accuracy, mean loss in nats, macro-averaged F1 and Matthews' coefficient; empty without rows.
  ///
  /// F1 is averaged over the classes that occur among the rows or the guesses, as scikit-learn
  /// does.
  public var metrics: Metrics {
    guard let count = sums["count"], count > 0 else { return [:] }
    var tally = ClassTally<Int>()
    for (name, value) in sums {
      guard let slash = name.firstIndex(of: "/"), let label = Int(name[slash...].dropFirst())
      else { continue }
      let rows = Int(value)
      switch name[..<slash] {
      case "true": tally.add(label, truths: rows, guesses: 0, hits: 0)
      case "guessed": tally.add(label, truths: 0, guesses: rows, hits: 0)
      case "hit": tally.add(label, truths: 0, guesses: 0, hits: rows)
      default: break
      }
    }
    return [
      "accuracy": (sums["correct"] ?? 0) / count, "loss": (sums["loss"] ?? 0) / count,
      "macro_f1": tally.macroF1, "matthews": tally.matthews,
    ]
  }

  private mutating func add(_ name: String, _ value: Double) { sums[name, default: 0] += value }
}

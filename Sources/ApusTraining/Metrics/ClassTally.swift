/// Counts of true and guessed classes, from which F1, accuracy and Matthews' coefficient follow.
///
/// Tallies of parts add up to the tally of the whole, so clients and workers can count on their own.
public struct ClassTally<Label: Hashable & Comparable & Sendable>: Sendable, Equatable {
  /// Rows of each class by truth.
  public private(set) var truths: [Label: Int] = [:]
  /// Rows of each class by guess.
  public private(set) var guesses: [Label: Int] = [:]
  /// Rows of each class that were guessed right.
  public private(set) var hits: [Label: Int] = [:]

  /// Nothing counted.
  public init() {}

  /// Counts one row, or several of the same kind.
  public mutating func add(truth: Label, guess: Label, times count: Int = 1) {
    truths[truth, default: 0] += count
    guesses[guess, default: 0] += count
    if truth == guess { hits[truth, default: 0] += count }
  }

  /// Counts things that are found rather than classified: of one class so many exist, were
  /// guessed, and were guessed right.
  mutating func add(_ label: Label, truths: Int, guesses: Int, hits: Int) {
    self.truths[label, default: 0] += truths
    self.guesses[label, default: 0] += guesses
    self.hits[label, default: 0] += hits
  }

  /// Adds the counts of another part.
  public mutating func add(_ other: ClassTally) {
    truths.merge(other.truths, uniquingKeysWith: +)
    guesses.merge(other.guesses, uniquingKeysWith: +)
    hits.merge(other.hits, uniquingKeysWith: +)
  }

  /// Classes that occur among truths or guesses, in order.
  public var labels: [Label] { Set(truths.keys).union(guesses.keys).sorted() }

  /// Number of rows, by truth.
  public var count: Int { truths.values.reduce(0, +) }

  /// Share of rows that were guessed right; 0 without rows.
  public var accuracy: Double { Self.share(hits.values.reduce(0, +), of: count) }

  /// Precision, recall and F1 of one class.
  public subscript(label: Label) -> PrecisionRecall {
    PrecisionRecall(
      hits: hits[label] ?? 0, guesses: guesses[label] ?? 0, truths: truths[label] ?? 0)
  }

  /// Precision, recall and F1 over all classes counted together.
  ///
  /// Where every row has one class, all three are the accuracy.
  public var micro: PrecisionRecall {
    PrecisionRecall(
      hits: hits.values.reduce(0, +), guesses: guesses.values.reduce(0, +), truths: count)
  }

  /// F1 averaged over the classes that occur; 0 without rows.
  ///
  /// - Source: scikit-learn, `f1_score(average="macro")`.
  public var macroF1: Double {
    let labels = labels
    return labels.isEmpty ? 0 : labels.reduce(0) { $0 + self[$1].f1 } / Double(labels.count)
  }

  /// Matthews' correlation coefficient, for two classes or more; 0 where it is not defined.
  ///
  /// - Source: Gorodkin 2004, the R_K statistic; scikit-learn, `matthews_corrcoef`.
  public var matthews: Double {
    let (all, right) = (Double(count), Double(hits.values.reduce(0, +)))
    func product(_ a: [Label: Int], _ b: [Label: Int]) -> Double {
      labels.reduce(0) { $0 + Double(a[$1] ?? 0) * Double(b[$1] ?? 0) }
    }
    let scale = (all * all - product(guesses, guesses)) * (all * all - product(truths, truths))
    return scale > 0 ? (right * all - product(truths, guesses)) / scale.squareRoot() : 0
  }

  private static func share(_ part: Int, of whole: Int) -> Double {
    whole == 0 ? 0 : Double(part) / Double(whole)
  }
}

/// How much of what was guessed is right, and how much of what is there was guessed; in 0…1.
public struct PrecisionRecall: Sendable, Equatable {
  /// Share of guesses that are right; 0 without guesses.
  public let precision: Double
  /// Share of truths that were guessed; 0 without truths.
  public let recall: Double

  /// Takes the two shares.
  public init(precision: Double, recall: Double) {
    self.precision = precision
    self.recall = recall
  }

  /// Shares of counts; an empty whole gives 0.
  init(hits: Int, guesses: Int, truths: Int) {
    self.init(
      precision: guesses == 0 ? 0 : Double(hits) / Double(guesses),
      recall: truths == 0 ? 0 : Double(hits) / Double(truths))
  }

  /// Harmonic mean of both; 0 if both are.
  public var f1: Double {
    let sum = precision + recall
    return sum > 0 ? 2 * precision * recall / sum : 0
  }
}

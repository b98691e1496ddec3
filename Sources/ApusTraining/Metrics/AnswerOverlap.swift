/// Exact match and word F1 of answers to questions, as SQuAD measures them.
///
/// Answers are compared in small letters, without punctuation and English articles. Parts add up.
///
/// - Source: Rajpurkar et al., arXiv 1606.05250 and 1806.03822; SQuAD's `evaluate-v2.0.py`.
public struct AnswerOverlap: Sendable, Equatable {
  /// Number of questions.
  public private(set) var count = 0
  /// Questions whose answer is one of the references.
  public private(set) var exactCount = 0
  /// Sum of the questions' F1.
  public private(set) var f1Sum = 0.0

  /// Nothing counted.
  public init() {}

  /// Counts one question by the reference that fits best; "" stands for: there is no answer.
  public mutating func add(_ output: String, references: [String]) {
    let guess = Self.words(output)
    let truths = references.isEmpty ? [[]] : references.map(Self.words)
    count += 1
    if truths.contains(guess) { exactCount += 1 }
    f1Sum += truths.map { Self.f1(guess, $0) }.max() ?? 0
  }

  /// Adds the counts of another part.
  public mutating func add(_ other: AnswerOverlap) {
    count += other.count
    exactCount += other.exactCount
    f1Sum += other.f1Sum
  }

  /// Share of exact matches in 0…1; 0 without questions.
  public var exactMatch: Double { count == 0 ? 0 : Double(exactCount) / Double(count) }

  /// Mean F1 in 0…1; 0 without questions.
  public var f1: Double { count == 0 ? 0 : f1Sum / Double(count) }

  /// F1 of two lists of words; if one is empty, 1 if both are.
  private static func f1(_ guess: [ScalarText], _ truth: [ScalarText]) -> Double {
    guard !guess.isEmpty, !truth.isEmpty else { return guess == truth ? 1 : 0 }
    var left = truth.reduce(into: [:]) { counts, word in counts[word, default: 0] += 1 }
    var hits = 0
    for word in guess {
      guard let count = left[word], count > 0 else { continue }
      left[word] = count - 1
      hits += 1
    }
    return PrecisionRecall(hits: hits, guesses: guess.count, truths: truth.count).f1
  }

  /// The words that count.
  static func words(_ text: String) -> [ScalarText] {
    let isPunctuation: (Unicode.Scalar) -> Bool = {
      ("!"..."/").contains($0) || (":"..."@").contains($0) || ("["..."`").contains($0)
        || ("{"..."~").contains($0)
    }
    let plain = ScalarText(text.lowercased()).filter { !isPunctuation($0) }
    // Articles are runs of letters and numbers, not words between spaces: "a–z" has one.
    var kept: ScalarText = []
    var run: ScalarText = []
    for scalar in plain + [" "] {
      if scalar.isAlphanumeric {
        run.append(scalar)
        continue
      }
      kept += articles.contains(run) ? [" "] : run
      kept.append(scalar)
      run = []
    }
    return kept.words
  }

  private static let articles = ["a", "an", "the"].map { ScalarText($0) }
}

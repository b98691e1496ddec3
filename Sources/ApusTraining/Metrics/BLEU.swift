import Foundation

/// BLEU of a corpus: the geometric mean of n-gram precisions, with a penalty for short output.
///
/// Equal to sacreBLEU's default: 13a tokenizer, case kept, n up to 4, and precisions without a hit
/// halved again and again. Counts of parts add up to those of the whole.
///
/// - Source: Papineni et al., ACL 2002; Post, arXiv 1804.08771; sacreBLEU 2.6, `BLEU()`.
public struct BLEU: Sendable, Equatable {
  /// Longest n-grams.
  public static let maxOrder = 4
  /// n-grams of the output that a reference has too, for n = 1…4.
  public private(set) var hits = [Int](repeating: 0, count: maxOrder)
  /// n-grams of the output, for n = 1…4.
  public private(set) var totals = [Int](repeating: 0, count: maxOrder)
  /// Tokens of the output.
  public private(set) var outputLength = 0
  /// Tokens of the references, for each text those of the one nearest in length.
  public private(set) var referenceLength = 0

  /// Nothing counted.
  public init() {}

  /// Goes on from counts that were taken elsewhere.
  init(hits: [Int], totals: [Int], outputLength: Int, referenceLength: Int) {
    (self.hits, self.totals) = (hits, totals)
    (self.outputLength, self.referenceLength) = (outputLength, referenceLength)
  }

  /// Counts one text beside its references, at least one.
  public mutating func add(_ output: String, references: [String]) {
    let guess = BLEUTokens(output)
    let truths = references.map { BLEUTokens($0) }
    let lengths = truths.map(\.tokens.count)
    outputLength += guess.tokens.count
    // Of two references that are equally near, the shorter one counts.
    referenceLength +=
      lengths.min {
        (abs($0 - guess.tokens.count), $0) < (abs($1 - guess.tokens.count), $1)
      } ?? 0
    for order in 1...Self.maxOrder {
      let counts = truths.map { $0.counts(order) }
      for (gram, count) in guess.counts(order) {
        totals[order - 1] += count
        hits[order - 1] += min(count, counts.map { $0[gram] ?? 0 }.max() ?? 0)
      }
    }
  }

  /// Adds the counts of another part.
  public mutating func add(_ other: BLEU) {
    for order in 0..<Self.maxOrder {
      hits[order] += other.hits[order]
      totals[order] += other.totals[order]
    }
    outputLength += other.outputLength
    referenceLength += other.referenceLength
  }

  /// exp(1 − r/c) for output of c tokens that is shorter than the references' r; else 1.
  public var brevityPenalty: Double {
    guard outputLength < referenceLength else { return 1 }
    return outputLength > 0 ? exp(1 - Double(referenceLength) / Double(outputLength)) : 0
  }

  /// Precisions for n = 1…4 in percent; the k-th without a hit is 100 / (2ᵏ·total).
  public var precisions: [Double] {
    var precisions = [Double](repeating: 0, count: Self.maxOrder)
    guard hits.contains(where: { $0 > 0 }) else { return precisions }
    var divisor = 1.0
    for order in 0..<Self.maxOrder where totals[0...order].allSatisfy({ $0 > 0 }) {
      if hits[order] == 0 { divisor *= 2 }
      let count = hits[order] == 0 ? 1 / divisor : Double(hits[order])
      precisions[order] = 100 * count / Double(totals[order])
    }
    return precisions
  }

  /// The score in 0…100.
  public var score: Double {
    let precisions = precisions
    guard precisions.allSatisfy({ $0 > 0 }) else { return 0 }
    let mean = precisions.reduce(0) { $0 + log($1) } / Double(Self.maxOrder)
    return brevityPenalty * exp(mean)
  }
}

/// A text cut as the script mteval-v13a cuts it, for BLEU.
struct BLEUTokens {
  let tokens: [ScalarText]

  init(_ text: String) {
    var line = ScalarText(text).trimmedAtEnd
    // Entities in this order, so that "&amp;lt;" becomes "<".
    for (old, new) in [
      ("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", "\""), ("&amp;", "&"),
      ("&lt;", "<"), ("&gt;", ">"),
    ] { line = line.replacing(old, with: new) }
    line = [" "] + line + [" "]
    line = line.flatMap { Self.isSymbol($0) ? [" ", $0, " "] : [$0] }
    let isStop: (Unicode.Scalar) -> Bool = { $0 == "." || $0 == "," }
    line = Self.parting(line, { [$0, " ", $1, " "] }, where: { !$0.isDigit && isStop($1) })
    line = Self.parting(line, { [" ", $0, " ", $1] }, where: { isStop($0) && !$1.isDigit })
    line = Self.parting(line, { [$0, " ", $1, " "] }, where: { $0.isDigit && $1 == "-" })
    tokens = line.words
  }

  /// How often each n-gram occurs.
  func counts(_ order: Int) -> [ArraySlice<ScalarText>: Int] {
    var counts: [ArraySlice<ScalarText>: Int] = [:]
    for start in 0..<max(0, tokens.count - order + 1) {
      counts[tokens[start..<(start + order)], default: 0] += 1
    }
    return counts
  }

  /// ASCII symbols that are tokens of their own: all but letters, digits and `'` `,` `-` `.`.
  private static func isSymbol(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "'", ",", "-", ".": false
    case " "..."/", ":"..."@", "["..."`", "{"..."~": true
    default: false
    }
  }

  /// Rewrites pairs of neighbours, from the left; none belongs to two.
  private static func parting(
    _ line: ScalarText, _ spaced: (Unicode.Scalar, Unicode.Scalar) -> ScalarText,
    where isPair: (Unicode.Scalar, Unicode.Scalar) -> Bool
  ) -> ScalarText {
    var result: ScalarText = []
    var place = 0
    while place < line.count {
      if place + 1 < line.count, isPair(line[place], line[place + 1]) {
        result += spaced(line[place], line[place + 1])
        place += 2
      } else {
        result.append(line[place])
        place += 1
      }
    }
    return result
  }
}

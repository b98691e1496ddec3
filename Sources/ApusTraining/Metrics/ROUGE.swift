import Foundation

/// ROUGE of a text beside a reference: shared n-grams, or the longest common subsequence.
///
/// Equal to Google's rouge-score, for English: what is no ASCII letter or digit separates words.
///
/// - Source: Lin, ACL 2004 workshop; rouge-score 0.1.2, `RougeScorer`.
public struct ROUGE: Sendable {
  /// What is compared.
  public enum Kind: String, Sendable, CaseIterable {
    /// Words.
    case rouge1
    /// Pairs of words.
    case rouge2
    /// The longest common subsequence of the whole texts.
    case rougeL
    /// The union of longest common subsequences, sentence by sentence; lines are sentences.
    case rougeLsum
  }

  private let stemmer: PorterStemmer?

  /// A scorer that compares words, or their stems if they are longer than three letters.
  public init(usesStemmer: Bool = false) { stemmer = usesStemmer ? PorterStemmer() : nil }

  /// Precision, recall and F1 of an output.
  public func score(_ output: String, reference: String, _ kind: Kind) -> PrecisionRecall {
    switch kind {
    case .rouge1: shared(words(output), words(reference), 1)
    case .rouge2: shared(words(output), words(reference), 2)
    case .rougeL: subsequence(words(output), words(reference))
    case .rougeLsum: summary(sentences(output), sentences(reference))
    }
  }

  /// The score beside the reference whose F1 is highest; of equals, the first.
  ///
  /// - Returns: nil without references.
  public func best(_ output: String, references: [String], _ kind: Kind) -> PrecisionRecall? {
    var best: PrecisionRecall?
    for reference in references {
      let found = score(output, reference: reference, kind)
      if found.f1 > best?.f1 ?? -1 { best = found }
    }
    return best
  }

  private func sentences(_ text: String) -> [[String]] {
    text.unicodeScalars.split(separator: "\n").map { words(String($0)) }
  }

  private func words(_ text: String) -> [String] {
    let isPart: (Unicode.Scalar) -> Bool = { $0.isDigit || ("a"..."z").contains($0) }
    return text.lowercased().unicodeScalars.split { !isPart($0) }.map { part in
      guard let stemmer, part.count > 3 else { return String(part) }
      return stemmer.stem(String(part))
    }
  }

  private func shared(_ output: [String], _ reference: [String], _ order: Int) -> PrecisionRecall {
    func counts(_ words: [String]) -> [ArraySlice<String>: Int] {
      var counts: [ArraySlice<String>: Int] = [:]
      for start in 0..<max(0, words.count - order + 1) {
        counts[words[start..<(start + order)], default: 0] += 1
      }
      return counts
    }
    let (guesses, truths) = (counts(output), counts(reference))
    let hits = guesses.reduce(0) { $0 + min($1.value, truths[$1.key] ?? 0) }
    return PrecisionRecall(
      hits: hits, guesses: max(0, output.count - order + 1),
      truths: max(0, reference.count - order + 1))
  }

  private func subsequence(_ output: [String], _ reference: [String]) -> PrecisionRecall {
    PrecisionRecall(
      hits: CommonSubsequence(reference, output).length, guesses: output.count,
      truths: reference.count)
  }

  /// Every sentence of the reference hits the words that a common subsequence with any sentence of
  /// the output has; no word hits more often than both texts have it.
  private func summary(_ output: [[String]], _ reference: [[String]]) -> PrecisionRecall {
    let count = { (text: [[String]]) in
      text.joined().reduce(into: [:]) { counts, word in counts[word, default: 0] += 1 }
    }
    var left: (output: [String: Int], reference: [String: Int]) = (count(output), count(reference))
    var hits = 0
    for sentence in reference {
      var places: Set<Int> = []
      for other in output { places.formUnion(CommonSubsequence(sentence, other).places) }
      for place in places.sorted() {
        let word = sentence[place]
        guard let a = left.output[word], let b = left.reference[word], a > 0, b > 0 else {
          continue
        }
        hits += 1
        (left.output[word], left.reference[word]) = (a - 1, b - 1)
      }
    }
    return PrecisionRecall(
      hits: hits, guesses: output.joined().count, truths: reference.joined().count)
  }
}

/// The longest list of words that two lists have in the same order.
private struct CommonSubsequence {
  private let first: [String]
  private let second: [String]
  /// Length for every pair of beginnings, row by row.
  private let table: [[Int]]

  init(_ first: [String], _ second: [String]) {
    (self.first, self.second) = (first, second)
    var table = [[Int](repeating: 0, count: second.count + 1)]
    for word in first {
      let above = table[table.count - 1]
      var row = [0]
      row.reserveCapacity(above.count)
      for (place, other) in second.enumerated() {
        row.append(word == other ? above[place] + 1 : max(above[place + 1], row[place]))
      }
      table.append(row)
    }
    self.table = table
  }

  var length: Int { table[first.count][second.count] }

  /// Its places in the first list; of several subsequences the one that rouge-score reads out.
  var places: [Int] {
    var (i, j) = (first.count, second.count)
    var places: [Int] = []
    while i > 0, j > 0 {
      if first[i - 1] == second[j - 1] {
        places.append(i - 1)
        (i, j) = (i - 1, j - 1)
      } else if table[i][j - 1] > table[i - 1][j] {
        j -= 1
      } else {
        i -= 1
      }
    }
    return places
  }
}

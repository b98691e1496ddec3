import Foundation

/// Distances between two distributions over the same classes, in natural logarithms.
enum LabelDistribution {
  /// Shares of each class; nil if there is nothing to share.
  static func shares(_ counts: [Int]) -> [Double]? {
    let total = counts.reduce(0, +)
    return total == 0 ? nil : counts.map { Double($0) / Double(total) }
  }

  /// Shares of each class in the sum of all rows [K][C]; zeros if there are no examples.
  static func mixOfAll(_ counts: [[Int]]) -> [Double] {
    let totals = (counts.first ?? []).indices.map { label in counts.reduce(0) { $0 + $1[label] } }
    return shares(totals) ?? totals.map { _ in 0 }
  }

  /// Mean over the non-empty rows [K][C] of the total variation from the mix of all.
  static func meanTotalVariation(_ counts: [[Int]]) -> Double {
    let all = mixOfAll(counts)
    let distances = counts.compactMap(shares).map { totalVariation($0, all) }
    return distances.isEmpty ? 0 : distances.reduce(0, +) / Double(distances.count)
  }

  /// Total variation ½ Σ |q(c) − p(c)|, between 0 and 1.
  static func totalVariation(_ q: [Double], _ p: [Double]) -> Double {
    zip(q, p).reduce(0) { $0 + abs($1.0 - $1.1) } / 2
  }

  /// Kullback–Leibler divergence Σ q(c) log(q(c) / p(c)); infinite if q has a class p lacks.
  static func divergence(_ q: [Double], _ p: [Double]) -> Double {
    zip(q, p).reduce(0) { $1.0 == 0 ? $0 : $0 + $1.0 * log($1.0 / $1.1) }
  }

  /// Jensen–Shannon divergence H(½(q + p)) − ½(H(q) + H(p)), between 0 and log 2.
  static func jensenShannon(_ q: [Double], _ p: [Double]) -> Double {
    let middle = zip(q, p).map { ($0 + $1) / 2 }
    return max(0, entropy(middle) - (entropy(q) + entropy(p)) / 2)
  }

  /// Entropy −Σ q(c) log q(c), between 0 and the logarithm of the number of classes.
  static func entropy(_ q: [Double]) -> Double {
    -q.reduce(0) { $1 == 0 ? $0 : $0 + $1 * log($1) }
  }
}

extension Partition {
  /// Number of examples of each class for each client [K][C].
  func labelCounts(_ labels: [Int], classes: Int) -> [[Int]] {
    clients.map { client in
      var counts = Array(repeating: 0, count: classes)
      for position in client.positions { counts[labels[position]] += 1 }
      return counts
    }
  }
}

import Foundation

extension RandomStream {
  /// A number drawn from the standard normal distribution (Box–Muller, one of the pair).
  public mutating func gaussian() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * .pi * uniform())
  }

  /// A number drawn from Gamma(shape, 1), for a shape > 0.
  ///
  /// - Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
  public mutating func gamma(shape: Double) -> Double {
    guard shape >= 1 else {
      return gamma(shape: shape + 1) * pow(1 - uniform(), 1 / shape)
    }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = gaussian()
      let v = pow(1 + c * x, 3)
      guard v > 0 else { continue }
      if log(1 - uniform()) < x * x / 2 + d - d * v + d * log(v) { return d * v }
    }
  }

  /// Shares drawn from a Dirichlet distribution; they sum to 1.
  ///
  /// There is one concentration per share, each > 0. Gamma numbers are compared by their
  /// logarithms, since those of a small concentration are too small for any floating-point number.
  public mutating func dirichlet(_ concentrations: [Double]) -> [Double] {
    let logarithms = concentrations.map { concentration in
      guard concentration < 1 else { return log(gamma(shape: concentration)) }
      return log(gamma(shape: concentration + 1)) + log(1 - uniform()) / concentration
    }
    // A concentration that rounds to nothing gives −∞ for all; then the largest one has it all.
    let largest = max(logarithms.max() ?? 0, -.greatestFiniteMagnitude)
    let draws = logarithms.map { exp($0 - largest) }
    let total = draws.reduce(0, +)
    return draws.map { $0 / total }
  }

  /// The elements in random order (Fisher–Yates).
  public mutating func shuffled<Element>(_ elements: some Sequence<Element>) -> [Element] {
    var result = Array(elements)
    for last in stride(from: result.count - 1, to: 0, by: -1) {
      result.swapAt(last, integer(below: last + 1))
    }
    return result
  }

  /// `count` different integers from 0..<bound, in increasing order.
  ///
  /// - Precondition: 0 ≤ `count` ≤ `bound`.
  /// - Complexity: O(count) expected draws (Floyd's algorithm).
  public mutating func sample(_ count: Int, below bound: Int) -> [Int] {
    var chosen: Set<Int> = []
    for upper in (bound - count)..<bound {
      let draw = integer(below: upper + 1)
      chosen.insert(chosen.contains(draw) ? upper : draw)
    }
    return chosen.sorted()
  }

  /// An index drawn with probability proportional to its weight: none negative, one positive.
  public mutating func index(weightedBy weights: [Double]) -> Int {
    var remaining = uniform() * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() where weight > 0 {
      remaining -= weight
      if remaining < 0 { return index }
    }
    return weights.lastIndex { $0 > 0 } ?? 0
  }
}

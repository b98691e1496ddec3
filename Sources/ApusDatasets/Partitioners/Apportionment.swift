/// Divides a whole number in given proportions, each part rounded by the largest remainder.
enum Apportionment {
  /// Parts that sum to `total`, each within one of its exact quota.
  ///
  /// - Parameters:
  ///   - total: What is divided, ≥ 0.
  ///   - weights: Proportions, none negative, at least one positive unless `total` is 0.
  /// - Returns: One part per weight; ties in the remainder go to the earlier part.
  static func parts(of total: Int, weights: [Double]) -> [Int] {
    let sum = weights.reduce(0, +)
    guard total > 0, sum > 0 else { return weights.map { _ in 0 } }
    let quotas = weights.map { Double(total) * ($0 / sum) }
    var parts = quotas.map { Int($0.rounded(.down)) }
    let byRemainder = quotas.indices.filter { weights[$0] > 0 }.sorted {
      let (a, b) = (quotas[$0] - Double(parts[$0]), quotas[$1] - Double(parts[$1]))
      return a == b ? $0 < $1 : a > b
    }
    // Rounding errors of the quotas can leave the sum one off on either side.
    var missing = total - parts.reduce(0, +)
    for index in byRemainder where missing > 0 {
      parts[index] += 1
      missing -= 1
    }
    for index in byRemainder.reversed() where missing < 0 && parts[index] > 0 {
      parts[index] -= 1
      missing += 1
    }
    return parts
  }

  /// Cuts a list into consecutive pieces of the given sizes.
  static func cut<Element>(_ elements: [Element], sizes: [Int]) -> [[Element]] {
    var start = 0
    return sizes.map { size in
      defer { start += size }
      return Array(elements[start..<(start + size)])
    }
  }

  /// Sizes of `count` nearly equal parts of `total`; the first ones are larger by one.
  static func equalParts(of total: Int, count: Int) -> [Int] {
    (0..<count).map { total / count + ($0 < total % count ? 1 : 0) }
  }
}

/// How far two lists of numbers rise and fall together.
public enum Correlation {
  /// Pearson's coefficient: 1 on a rising line, −1 on a falling one; nil if a list is constant.
  ///
  /// - Parameters:
  ///   - x: Numbers, at least two.
  ///   - y: As many.
  /// - Returns: A value in −1…1, or nil where the coefficient is not defined.
  public static func pearson(_ x: [Double], _ y: [Double]) -> Double? {
    guard x.count == y.count, x.count > 1 else { return nil }
    let (dx, dy) = (centred(x), centred(y))
    let scale = (dot(dx, dx) * dot(dy, dy)).squareRoot()
    return scale > 0 ? max(-1, min(1, dot(dx, dy) / scale)) : nil
  }

  /// Spearman's coefficient: Pearson's of the ranks, where equal numbers share their mean rank.
  ///
  /// - Parameters:
  ///   - x: Numbers, at least two.
  ///   - y: As many.
  /// - Returns: A value in −1…1, or nil where the coefficient is not defined.
  public static func spearman(_ x: [Double], _ y: [Double]) -> Double? {
    pearson(ranks(x), ranks(y))
  }

  /// Ranks from 1; equal numbers get the mean of the ranks they take up.
  static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
      for place in order[start..<end] { ranks[place] = Double(start + 1 + end) / 2 }
      start = end
    }
    return ranks
  }

  private static func centred(_ values: [Double]) -> [Double] {
    let mean = values.reduce(0, +) / Double(values.count)
    return values.map { $0 - mean }
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

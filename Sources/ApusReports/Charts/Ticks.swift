import Foundation

/// Round numbers along an axis: multiples of 1, 2 or 5 times a power of ten.
struct Ticks: Sendable {
  /// Distance of neighbours.
  let step: Double
  /// The numbers, ascending; at least two.
  let values: [Double]

  /// Whether a value can be placed on an axis: finite, and far from the limits of `Double`.
  static func canShow(_ value: Double) -> Bool { value.isFinite && value.magnitude < 1e100 }

  /// Ticks whose first and last enclose all values.
  ///
  /// - Parameters:
  ///   - values: What the axis has to show; values that cannot be shown do not count. Without
  ///     any the axis runs from 0 to 1, and around a single value it gets some room.
  ///   - count: About how many ticks fit, at least 2.
  ///   - whole: Whether only whole numbers mean something, as for rounds.
  init(covering values: some Sequence<Double>, about count: Int, whole: Bool = false) {
    let range = Self.range(of: values)
    let step = Self.step(for: range, about: count, whole: whole)
    // A step counts as reached within a millionth, so that 0.3 / 0.1 needs no fourth tick.
    let first = (range.lowerBound / step + 1e-6).rounded(.down)
    let last = (range.upperBound / step - 1e-6).rounded(.up)
    self.init(step: step, first: first, last: max(last, first + 1))
  }

  private init(step: Double, first: Double, last: Double) {
    self.step = step
    values = (0...Int(last - first)).map { (first + Double($0)) * step }
  }

  /// First and last tick.
  var range: ClosedRange<Double> { (values.first ?? 0)...(values.last ?? 1) }

  /// Where a value stands between the first tick, 0, and the last, 1.
  func part(_ value: Double) -> Double {
    (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }

  /// The ticks as text.
  func labels(_ style: NumberStyle) -> [String] { values.map { style.label($0, step: step) } }

  /// The smallest range around all values that has a length.
  private static func range(of values: some Sequence<Double>) -> ClosedRange<Double> {
    let shown = values.filter(canShow)
    guard let low = shown.min(), let high = shown.max() else { return 0...1 }
    let room = max(low.magnitude, high.magnitude)
    guard high - low <= max(room * 1e-9, 1e-90) else { return low...high }
    return low - max(room * 0.1, 1e-3)...high + max(room * 0.1, 1e-3)
  }

  private static func step(
    for range: ClosedRange<Double>, about count: Int, whole: Bool
  ) -> Double {
    let rough = (range.upperBound - range.lowerBound) / Double(max(1, count - 1))
    let power = pow(10, log10(rough).rounded(.down))
    // The nearest of 1, 2, 5 and 10 on a logarithmic scale.
    let factor: Double =
      switch rough / power {
      case ..<1.5: 1
      case ..<3.5: 2
      case ..<7.5: 5
      default: 10
      }
    return whole ? max(1, (factor * power).rounded()) : factor * power
  }
}

public import ApusTorch

/// Mean and variance of all numbers seen so far, merged block by block.
///
/// - Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
///   sample variances", COMPSTAT 1982, eq. 2.1.
public struct RunningMoments: Sendable, Equatable {
  /// Numbers seen.
  public private(set) var count = 0
  /// Their mean; 0 without any.
  public private(set) var mean = 0.0
  /// Sum of the squared distances from the mean.
  private var spread = 0.0

  /// Nothing seen.
  public init() {}

  /// Adds every element of a tensor.
  public mutating func add(_ block: Tensor) {
    guard block.count > 0 else { return }
    let values = block.detached().to(.float64)
    var other = RunningMoments()
    other.count = values.count
    other.mean = values.mean().item
    other.spread = (values - other.mean).squared.sum().item
    add(other)
  }

  /// Adds what another one has seen.
  public mutating func add(_ other: RunningMoments) {
    guard other.count > 0 else { return }
    let total = count + other.count
    let gap = other.mean - mean
    let share = Double(other.count) / Double(total)
    spread += other.spread + gap * gap * Double(count) * share
    mean += gap * share
    count = total
  }

  /// The unbiased variance; 0 for fewer than two numbers.
  public var variance: Double { count > 1 ? spread / Double(count - 1) : 0 }
}

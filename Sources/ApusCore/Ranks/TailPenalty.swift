public import ApusTorch

/// Pulls the last rows of A and columns of B towards zero: λ·Σ ‖B's tail‖·‖A's tail‖ over all sites.
///
/// The norms have a term of 10⁻¹² under their root, for at B = 0 a norm has no gradient.
///
/// - Source: Cho et al., arXiv 2401.06432, section 3; made differentiable as in the project's card.
public final class TailPenalty: StepHook {
  /// The first row of the tail.
  public let start: Int
  private let pairs: [FactorPair]
  private let strength: Double

  /// A penalty on the rows from `start` on.
  public init(_ pairs: [FactorPair], from start: Int, _ strength: Double) {
    (self.pairs, self.start, self.strength) = (pairs, start, strength)
  }

  /// Σ ‖B's tail‖·‖A's tail‖ without λ, to compare before and after training.
  public func score(of values: NamedTensors) -> Double {
    sum(in: values) { $0.norm() }?.item ?? 0
  }

  public func penalty(_ step: LocalStep) -> Tensor? {
    let values = Dictionary(uniqueKeysWithValues: step.phase.trainables.map { ($0.name, $0.leaf) })
    return sum(in: NamedTensors(values)) { ($0.squared.sum() + 1e-12).squareRoot }
      .map { $0 * strength }
  }

  private func sum(in values: NamedTensors, norm: (Tensor) -> Tensor) -> Tensor? {
    var total: Tensor?
    for pair in pairs {
      guard let rank = values.rank(of: pair), rank > start, let a = values[pair.a],
        let b = values[pair.b]
      else { continue }
      let term = norm(b.sliced(1, start..<rank)) * norm(a.sliced(0, start..<rank))
      total = total.map { $0 + term } ?? term
    }
    return total
  }
}

public import ApusTorch

/// Pulls what adapters add to the weights towards what it was when the phase began:
/// ε/2·Σ‖s(BA − B′A′)‖² over all sites.
///
/// Unlike ``ProximalTerm`` it does not care how a product is split into factors. With
/// BA − B′A′ = (B − B′)A + B′(A − A′) the norm follows from Gram matrices of twice the rank, and is
/// exactly zero, as its gradient is, before the first step.
///
/// - Source: Wu et al., FedBiOT, arXiv 2406.17706, the clients' objective; made differentiable as in
///   the project's card.
public final class ProductAnchor: StepHook {
  private let pairs: [FactorPair]
  private let strength: Double
  private var anchors: [String: Tensor] = [:]

  /// The pull with this ε ≥ 0 at these sites.
  public init(_ pairs: [FactorPair], strength: Double) {
    (self.pairs, self.strength) = (pairs, strength)
  }

  public func begin(_ phase: LocalPhase) {
    anchors = Dictionary(
      phase.trainables.map { ($0.name, $0.leaf.detached().cloned()) }
    ) { first, _ in first }
  }

  public func penalty(_ step: LocalStep) -> Tensor? {
    guard strength > 0 else { return nil }
    var total: Tensor?
    for pair in pairs {
      guard let a = step.phase.leaf(pair.a), let b = step.phase.leaf(pair.b),
        let formerA = anchors[pair.a], let formerB = anchors[pair.b]
      else { continue }
      let left = concatenated([b - formerB, formerB], dim: 1)  // [d_out, 2r]
      let right = concatenated([a, a - formerA])  // [2r, d_in]
      let square =
        (matmul(left.matrixTransposed, left) * matmul(right, right.matrixTransposed)).sum()
      let term = square * (strength / 2 * pair.scaling * pair.scaling)
      total = total.map { $0 + term } ?? term
    }
    return total
  }
}

import ApusBase
import ApusCore
import ApusTorch

/// The network of FedP²EFT that tells from a client's feature statistics how much each rank of each
/// site matters: two linear layers with a PReLU between, clamped in the forward direction only.
///
/// - Shapes: z [2M] for M layers, hidden h = 4M, output [Σ r] over the sites' ranks.
/// - Source: Lee et al., arXiv 2502.04387, §4; BTNet of its reference code.
struct StrategyGenerator {
  /// Least and greatest importance.
  static let range = (low: 1e-4, high: 1000.0)

  private static let prefix = "own.generator."
  private static let names = [
    "hidden.bias", "hidden.weight", "output.bias", "output.weight", "slope",
  ].map { prefix + $0 }

  /// Fresh parameters φ: weights of tiny variance, so that every importance begins near 1e-4.
  static func initial(_ facts: ModelFacts, _ random: RandomStream) -> NamedTensors {
    let inputs = 2 * facts.layers.count
    let (hidden, outputs) = (2 * inputs, facts.ranks.reduce(0, +))
    func weight(_ name: String, _ rows: Int, _ columns: Int) -> Tensor {
      var stream = random.substream(name)
      let deviation = 1e-6 * (2 / Double(rows + columns)).squareRoot()  // Xavier, gain 1e-6
      return .normal([rows, columns], deviation: deviation, stream: &stream)
    }
    return NamedTensors([
      "\(prefix)hidden.weight": weight("hidden", hidden, inputs),
      "\(prefix)hidden.bias": .full([hidden], 1e-4),
      "\(prefix)slope": .full([1], 0.25),
      "\(prefix)output.weight": weight("output", outputs, hidden),
      "\(prefix)output.bias": .full([outputs], 1e-4),
    ])
  }

  /// The parameters φ, leaves of a graph.
  private(set) var parameters: NamedTensors

  /// A generator with the parameters among these tensors.
  init(_ tensors: NamedTensors) {
    parameters = tensors.filtered(Self.names.contains).mapValues {
      $0.detached().cloned().requiringGradient()
    }
  }

  /// The importance of every rank, in the order of the sites.
  func callAsFunction(_ statistics: Tensor) -> Tensor {
    let values = Self.names.compactMap { parameters[$0] }
    guard values.count == Self.names.count else { return statistics }
    let hidden = linear(statistics.unsqueezed(0), weight: values[1], bias: values[0])
    let active = relu(hidden) - relu(-hidden) * values[4]
    return clampedStraightThrough(
      linear(active, weight: values[3], bias: values[2]).squeezed(0), low: Self.range.low,
      high: Self.range.high)
  }

  /// Steps of Adam on Σ |PSG(z) − λ*|; what it answers stays, the generator moves.
  mutating func fit(
    _ statistics: Tensor, to importance: Tensor, steps: Int, rate: Double
  ) throws(ApusError) {
    var optimizer: any Optimizer = try Adam(.adam)
    for _ in 0..<steps {
      let loss = (self(statistics) - importance).magnitude.sum()
      optimizer.step(
        parameters.tensors, gradients: loss.gradients(by: parameters.tensors), learningRate: rate)
    }
    try Tensor.check("strategy generator")
  }
}

/// x between two bounds; the gradient passes as if there were none.
func clampedStraightThrough(_ x: Tensor, low: Double, high: Double) -> Tensor {
  x + (x.clamped(low: low, high: high) - x).detached()
}

extension FedP2EFT.Options {
  /// (α_s/n)·Σ ‖B[:, j] − B⁰[:, j]‖₁/λ̃ⱼ + (α_p/n)·Σ (log λ̃ⱼ + 100·λ̃ⱼ), λ̃ being λ clamped.
  func penalty(
    _ phase: LocalPhase, of pairs: [FactorPair], from start: NamedTensors, rows: Double
  ) -> Tensor? {
    let terms = pairs.compactMap { pair -> Tensor? in
      guard let b = phase.leaf(pair.b), let former = start[pair.b],
        let raw = phase.leaf(ModelExtension.diagonal(besideA: pair.a))
      else { return nil }
      let range = StrategyGenerator.range
      let importance = clampedStraightThrough(raw, low: range.low, high: range.high)
      let moved = (b - former).magnitude.sum([0]) / importance
      return moved.sum() * (significance / rows)
        + (log(importance) + importance * 100).sum() * (sparsity / rows)
    }
    return terms.dropFirst().reduce(terms.first) { sum, term in sum.map { $0 + term } }
  }
}

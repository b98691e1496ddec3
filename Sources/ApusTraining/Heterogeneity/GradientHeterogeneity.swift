public import ApusBase
public import ApusCore
import ApusTorch

/// How much the clients' gradients disagree at one point, usually the start of a run.
public struct GradientHeterogeneity: Hashable, Sendable {
  /// Mean over clients of ‖∇Fₖ − ∇F‖², with ∇F = Σ pₖ∇Fₖ.
  public let variance: Double
  /// ‖∇F‖.
  public let norm: Double
  /// B = √(Σ pₖ‖∇Fₖ‖²) / ‖∇F‖ ≥ 1; 1 if all clients pull in one direction with one strength.
  public let dissimilarity: Double

  /// Compares gradients.
  ///
  /// - Parameters:
  ///   - gradients: ∇Fₖ of each client, of the same tensors.
  ///   - weights: Sizes of the clients, of which pₖ are the shares.
  /// - Throws: ``ApusError`` `.shapeMismatch` for gradients of different tensors, `.invalidData`
  ///   without any.
  /// - Source: Li et al., FedProx, arXiv 1812.06127, definition 3.
  public init(_ gradients: [NamedTensors], weights: [Double]) throws(ApusError) {
    guard let first = gradients.first else {
      throw ApusError(
        .invalidData, at: "gradients of clients", "no client has a gradient",
        remedy: "Measure clients with training rows")
    }
    var mean = WeightedMean(like: first)
    for (gradient, weight) in zip(gradients, weights) {
      try mean.absorb(gradient, weight: weight, at: "gradient")
    }
    let average = mean.finish() ?? first
    let total = weights.reduce(0, +)
    var (variance, square) = (0.0, 0.0)
    for (gradient, weight) in zip(gradients, weights) {
      variance += Self.squaredDistance(gradient, average) / Double(gradients.count)
      square += weight / total * Self.squaredNorm(gradient)
    }
    self.variance = variance
    norm = Self.squaredNorm(average).squareRoot()
    dissimilarity = norm > 0 ? square.squareRoot() / norm : .infinity
    try Tensor.check("gradients of clients")
  }

  private static func squaredNorm(_ tensors: NamedTensors) -> Double {
    tensors.reduce(0.0) { sum, item in
      let values = item.tensor.to(.float64)
      return sum + (values * values).sum().item
    }
  }

  private static func squaredDistance(_ a: NamedTensors, _ b: NamedTensors) -> Double {
    a.reduce(0.0) { sum, item in
      guard let other = b[item.name] else { return sum }
      let gap = item.tensor.to(.float64) - other.to(.float64)
      return sum + (gap * gap).sum().item
    }
  }
}

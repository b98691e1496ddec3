public import ApusBase
internal import Foundation

/// Adam, and AdamW where the weight decay is decoupled from the gradient.
///
/// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η·m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ)
/// and v̂ = v / (1 − β₂ᵗ). The count t is each parameter's own.
///
/// - Complexity: Seven elementwise operations and two temporaries for each parameter.
/// - Source: Kingma and Ba, arXiv 1412.6980, Alg. 1; Loshchilov and Hutter, arXiv 1711.05101,
///   Alg. 2; in the order of operations of `torch.optim.AdamW`.
public struct Adam: Optimizer {
  /// Hyper-parameters, with PyTorch's defaults.
  public struct Options: Sendable, Hashable {
    /// Decay β₁ of the mean of gradients, 0 ≤ β₁ < 1.
    public var beta1 = 0.9
    /// Decay β₂ of the mean of squares, 0 ≤ β₂ < 1.
    public var beta2 = 0.999
    /// Keeps the divisor from zero, ε ≥ 0.
    public var epsilon = 1e-8
    /// Penalty λ ≥ 0, no unit.
    public var weightDecay: Double
    /// Whether parameters shrink by 1 − ηλ (AdamW) instead of λθ joining the gradient (Adam).
    public var decouplesWeightDecay: Bool

    /// Adam, without weight decay.
    public static let adam = Options(weightDecay: 0, decouplesWeightDecay: false)
    /// AdamW, with a decoupled weight decay of 0.01.
    public static let adamW = Options(weightDecay: 0.01, decouplesWeightDecay: true)
  }

  private let options: Options
  private var slots = OptimizerSlots()

  /// Creates an optimizer that has not moved yet.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if an option is out of its range.
  public init(_ options: Options) throws(ApusError) {
    for (name, beta) in [("beta1", options.beta1), ("beta2", options.beta2)] {
      try OptimizerConfiguration.require(0..<1 ~= beta, name, beta, "in [0, 1)")
    }
    try OptimizerConfiguration.require(options.epsilon >= 0, "epsilon", options.epsilon, "≥ 0")
    try OptimizerConfiguration.require(
      options.weightDecay >= 0, "weightDecay", options.weightDecay, "≥ 0")
    self.options = options
  }

  public mutating func step(
    _ parameters: [Tensor], gradients: [Tensor?], learningRate: Double
  ) {
    slots.advance(parameters, gradients) { [options] parameter, gradient, slot in
      var gradient = gradient
      if options.weightDecay != 0 {
        if options.decouplesWeightDecay {
          parameter.scaleInPlace(1 - learningRate * options.weightDecay)
        } else {
          gradient = gradient.cloned()
          gradient.addInPlace(parameter, factor: options.weightDecay)
        }
      }
      let mean = slot.tensor("exp_avg", beside: parameter)
      let square = slot.tensor("exp_avg_sq", beside: parameter)
      mean.blendInPlace(gradient, weight: 1 - options.beta1)
      square.scaleInPlace(options.beta2)
      square.addProductInPlace(gradient, gradient, factor: 1 - options.beta2)

      // Both corrections are moved into the two scalars: √v̂ + ε = (√v + ε·c) / c.
      let correction = (1 - pow(options.beta2, Double(slot.step))).squareRoot()
      let size = learningRate / (1 - pow(options.beta1, Double(slot.step)))
      let divisor = square.squareRoot + options.epsilon * correction
      parameter.addQuotientInPlace(mean, divisor, factor: -size * correction)
    }
  }

  public var state: [String: Tensor] { slots.state }

  public mutating func restore(_ state: [String: Tensor]) throws(ApusError) {
    try slots.restore(state, layouts: [["exp_avg", "exp_avg_sq"]])
  }
}

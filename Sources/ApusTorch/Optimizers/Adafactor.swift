public import ApusBase
internal import Foundation

/// Adafactor: second moments of a matrix kept as one row and one column, R [m] and C [n].
///
/// Steps are relative to the size of the parameter, and by default the learning rate is the
/// optimizer's own: with `relativeStep` the one given to ``step(_:gradients:learningRate:)`` has
/// no effect, as in the reference code, which then accepts none.
///
/// - Source: Shazeer and Stern, arXiv 1804.04235, Alg. 4 and 5, as `transformers.Adafactor`
///   computes it (axes before the last two are independent matrices).
public struct Adafactor: Optimizer {
  /// Hyper-parameters, with the defaults of Hugging Face transformers.
  public struct Options: Sendable, Hashable {
    /// ε₁, added to squared gradients.
    public var squareEpsilon = 1e-30
    /// ε₂, the smallest size of a parameter that steps are relative to.
    public var scaleEpsilon = 1e-3
    /// Largest root mean square d of an update, > 0.
    public var clipThreshold = 1.0
    /// Exponent c ≤ 0 of β₂ = 1 − tᶜ.
    public var decayRate = -0.8
    /// Decay β₁ of a mean of updates, in [0, 1); nil keeps none.
    public var beta1: Double?
    /// Penalty λ ≥ 0: parameters shrink by 1 − λη.
    public var weightDecay = 0.0
    /// Whether the step is multiplied by max(ε₂, RMS(θ)).
    public var scaleParameter = true
    /// Where the learning rate comes from.
    public var rate = Rate.relative

    public init() {}
  }

  /// Where the learning rate comes from.
  public enum Rate: String, Sendable, Hashable, CaseIterable {
    /// From the caller.
    case given
    /// min(10⁻², 1/√t).
    case relative
    /// min(10⁻⁶·t, 1/√t).
    case relativeWithWarmup
  }

  private let options: Options
  private var slots = OptimizerSlots()

  /// Creates an optimizer that has not moved yet.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if an option is out of its range.
  public init(_ options: Options = Options()) throws(ApusError) {
    for (name, value) in [
      ("squareEpsilon", options.squareEpsilon), ("scaleEpsilon", options.scaleEpsilon),
      ("weightDecay", options.weightDecay),
    ] {
      try OptimizerConfiguration.require(value >= 0, name, value, "≥ 0")
    }
    try OptimizerConfiguration.require(
      options.clipThreshold > 0, "clipThreshold", options.clipThreshold, "> 0")
    try OptimizerConfiguration.require(
      options.decayRate <= 0, "decayRate", options.decayRate, "≤ 0")
    if let beta1 = options.beta1 {
      try OptimizerConfiguration.require(0..<1 ~= beta1, "beta1", beta1, "in [0, 1)")
    }
    self.options = options
  }

  public mutating func step(
    _ parameters: [Tensor], gradients: [Tensor?], learningRate: Double
  ) {
    slots.advance(parameters, gradients) { [options] parameter, gradient, slot in
      let rate = Self.rate(options, parameter, step: slot.step, given: learningRate)
      var update = Self.normalized(gradient, beside: parameter, &slot, options)
      let excess = Swift.max(1, Self.rootMeanSquare(update) / options.clipThreshold)
      update.scaleInPlace(rate / excess)
      if let beta1 = options.beta1 {
        let mean = slot.tensor("exp_avg", beside: parameter)
        mean.scaleInPlace(beta1)
        mean.addInPlace(update, factor: 1 - beta1)
        update = mean
      }
      if options.weightDecay != 0 { parameter.scaleInPlace(1 - options.weightDecay * rate) }
      parameter.addInPlace(update, factor: -1)
    }
  }

  /// The step's size ηₜ, before the update is clipped.
  private static func rate(
    _ options: Options, _ parameter: Tensor, step: Int, given: Double
  ) -> Double {
    let count = Double(step)
    let rate =
      switch options.rate {
      case .given: given
      case .relative: min(1e-2, 1 / count.squareRoot())
      case .relativeWithWarmup: min(1e-6 * count, 1 / count.squareRoot())
      }
    guard options.scaleParameter else { return rate }
    return rate * Swift.max(options.scaleEpsilon, rootMeanSquare(parameter))
  }

  /// The gradient over the root of its second moment, in memory of its own.
  private static func normalized(
    _ gradient: Tensor, beside parameter: Tensor, _ slot: inout OptimizerSlots.Slot,
    _ options: Options
  ) -> Tensor {
    let kept = 1 - pow(Double(slot.step), options.decayRate)
    let square = gradient.squared + options.squareEpsilon
    func average(_ name: String, _ value: Tensor) -> Tensor {
      let average = slot.tensor(name, beside: parameter, shape: value.shape)
      average.scaleInPlace(kept)
      average.addInPlace(value, factor: 1 - kept)
      return average
    }
    guard gradient.rank >= 2 else {
      return average("exp_avg_sq", square).inverseSquareRoot * gradient
    }
    let row = average("exp_avg_sq_row", square.mean([-1]))
    let column = average("exp_avg_sq_col", square.mean([-2]))
    let rowFactor = (row / row.mean([-1], keepDims: true)).inverseSquareRoot.unsqueezed(-1)
    return rowFactor * column.unsqueezed(-2).inverseSquareRoot * gradient
  }

  private static func rootMeanSquare(_ x: Tensor) -> Double {
    x.norm().item / Double(x.count).squareRoot()
  }

  public var state: [String: Tensor] { slots.state }

  public mutating func restore(_ state: [String: Tensor]) throws(ApusError) {
    let mean: Set<String> = options.beta1 == nil ? [] : ["exp_avg"]
    try slots.restore(
      state,
      layouts: [mean.union(["exp_avg_sq_row", "exp_avg_sq_col"]), mean.union(["exp_avg_sq"])])
  }
}

public import ApusBase

/// Stochastic gradient descent with momentum: b ← μb + g, θ ← θ − η·b.
///
/// - Source: `torch.optim.SGD` with dampening 0; Nesterov: Sutskever et al., ICML 2013.
public struct SGD: Optimizer {
  /// Hyper-parameters, with PyTorch's defaults.
  public struct Options: Sendable, Hashable {
    /// Share μ of the past direction that is kept, 0 ≤ μ.
    public var momentum = 0.0
    /// Whether to look ahead along the momentum: the step is g + μb.
    public var nesterov = false
    /// L2 penalty λ, added to the gradient as λθ; λ ≥ 0.
    public var weightDecay = 0.0

    public init() {}
  }

  private let options: Options
  private var slots = OptimizerSlots()

  /// Creates an optimizer that has not moved yet.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if an option is out of its range.
  public init(_ options: Options = Options()) throws(ApusError) {
    try OptimizerConfiguration.require(options.momentum >= 0, "momentum", options.momentum, "≥ 0")
    try OptimizerConfiguration.require(
      options.weightDecay >= 0, "weightDecay", options.weightDecay, "≥ 0")
    try OptimizerConfiguration.require(
      !options.nesterov || options.momentum > 0, "momentum", options.momentum,
      "> 0 for Nesterov's method")
    self.options = options
  }

  public mutating func step(
    _ parameters: [Tensor], gradients: [Tensor?], learningRate: Double
  ) {
    slots.advance(parameters, gradients) { [options] parameter, gradient, slot in
      var direction = gradient
      if options.weightDecay != 0 {
        direction = gradient.cloned()
        direction.addInPlace(parameter, factor: options.weightDecay)
      }
      if options.momentum != 0 {
        let buffer = slot.tensor("momentum_buffer", beside: parameter)
        buffer.scaleInPlace(options.momentum)
        buffer.addInPlace(direction)
        direction = options.nesterov ? direction + options.momentum * buffer : buffer
      }
      parameter.addInPlace(direction, factor: -learningRate)
    }
  }

  public var state: [String: Tensor] { slots.state }

  public mutating func restore(_ state: [String: Tensor]) throws(ApusError) {
    try slots.restore(state, layouts: [options.momentum == 0 ? [] : ["momentum_buffer"]])
  }
}

public import ApusBase

/// Which optimizer to make, and its options.
public enum OptimizerConfiguration: Sendable, Hashable {
  /// Stochastic gradient descent.
  case sgd(SGD.Options)
  /// Adam or AdamW, by how it decays weights.
  case adam(Adam.Options)
  /// Adafactor.
  case adafactor(Adafactor.Options)

  /// AdamW with PyTorch's defaults.
  public static let adamW = OptimizerConfiguration.adam(.adamW)

  /// Creates the optimizer, which has not moved yet.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig`, naming the option, if one is out of its range.
  public func makeOptimizer() throws(ApusError) -> any Optimizer {
    switch self {
    case .sgd(let options): try SGD(options)
    case .adam(let options): try Adam(options)
    case .adafactor(let options): try Adafactor(options)
    }
  }

  /// Throws unless the condition holds; a NaN never meets one.
  static func require(
    _ condition: Bool, _ option: String, _ value: Double, _ range: String
  ) throws(ApusError) {
    guard !condition || !value.isFinite else { return }
    throw ApusError(
      .invalidConfig, at: "optimizer, \(option)", "\(value) is not a number \(range)",
      remedy: "Give \(option) a value \(range)")
  }
}

public import ApusBase
public import ApusTorch

/// How a client trains in one round.
public struct LocalTraining: OptionGroup, Equatable {
  /// Course of the learning rate over the local steps of one round.
  public enum Schedule: String, Codable, Sendable, CaseIterable {
    /// The peak at every step.
    case constant
    /// Down to zero in a straight line.
    case linear
    /// Down to zero along half a cosine.
    case cosine
  }

  /// Passes over the local data in one round, E ≥ 1.
  public var localEpochs = 1
  /// Rows of one optimizer step.
  public var batchSize = 16
  /// Peak learning rate η.
  public var learningRate = 1e-3
  /// Update rule and its constants; its state is fresh in every round.
  public var optimizer = OptimizerOptions()
  /// Course of the learning rate.
  public var schedule = Schedule.constant
  /// Share of the round's steps over which the learning rate rises to its peak, 0…1.
  public var warmupShare = 0.0
  /// Largest norm of the gradient over all trainables; 0 for no clipping.
  public var clipNorm = 0.0
  /// μ of FedProx, which pulls trainables towards what the round began with; 0 for none.
  public var proximal = 0.0

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      localEpochs >= 1, "local-epochs", "\(localEpochs) is below 1", remedy: "Give a number ≥ 1")
    try require(
      batchSize >= 1, "batch-size", "\(batchSize) is below 1", remedy: "Give a number ≥ 1")
    try require(
      learningRate > 0 && learningRate.isFinite, "learning-rate", "\(learningRate) is no rate",
      remedy: "Give a number > 0")
    try require(
      (0...1).contains(warmupShare), "warmup-share", "\(warmupShare) is no share",
      remedy: "Give a number between 0 and 1")
    try require(
      clipNorm >= 0, "clip-norm", "\(clipNorm) is negative",
      remedy: "Give a number > 0, or 0 for no clipping")
    try require(proximal >= 0, "proximal", "\(proximal) is negative", remedy: "Give μ ≥ 0")
    do throws(ApusError) { try optimizer.validate() } catch {
      throw ApusError(
        error.code, at: "optimizer.\(error.location)", error.problem, remedy: error.remedy)
    }
  }

  /// η at each step.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if the warm-up share is out of range.
  public func makeSchedule() throws(ApusError) -> LearningRateSchedule {
    let decay: LearningRateSchedule.Decay =
      switch schedule {
      case .constant: .constant
      case .linear: .linear
      case .cosine: .cosine(cycles: 0.5)
      }
    return try LearningRateSchedule(decay, warmup: .share(warmupShare))
  }
}

/// The optimizer of local training, as an experiment file names it.
public struct OptimizerOptions: OptionGroup, Equatable {
  /// The rules there are.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    case sgd
    case adam
    case adamw
    case adafactor
  }

  /// Which rule.
  public var kind = Kind.adamw
  /// λ ≥ 0: decoupled for AdamW and Adafactor, an L2 penalty for SGD and Adam.
  public var weightDecay = 0.0
  /// μ of SGD.
  public var momentum = 0.0
  /// Whether SGD looks ahead along its momentum.
  public var nesterov = false
  /// β₁ of Adam and AdamW.
  public var beta1 = 0.9
  /// β₂ of Adam and AdamW.
  public var beta2 = 0.999
  /// ε of Adam and AdamW.
  public var epsilon = 1e-8

  public init() {}

  public func validate() throws(ApusError) {
    do throws(ApusError) { _ = try configuration.makeOptimizer() } catch {
      // The rule itself names its option as Swift spells it: "optimizer, weightDecay".
      let option = error.location.removing(prefix: "optimizer, ") ?? error.location
      let setting = Spelling.kebab(option)
      throw ApusError(
        .invalidConfig, at: setting, error.problem,
        remedy: error.remedy.replacing(option, with: setting), cause: error)
    }
  }

  /// The optimizer with its own options.
  public var configuration: OptimizerConfiguration {
    switch kind {
    case .sgd:
      var options = SGD.Options()
      options.momentum = momentum
      options.nesterov = nesterov
      options.weightDecay = weightDecay
      return .sgd(options)
    case .adam, .adamw:
      var options = kind == .adam ? Adam.Options.adam : Adam.Options.adamW
      options.beta1 = beta1
      options.beta2 = beta2
      options.epsilon = epsilon
      options.weightDecay = weightDecay
      return .adam(options)
    case .adafactor:
      // Its relative steps would ignore the learning rate, which a federation schedules.
      var options = Adafactor.Options()
      options.rate = .given
      options.weightDecay = weightDecay
      return .adafactor(options)
    }
  }
}

/// What a method changes of the gradients and rates of a local phase.
public struct StepRules: Sendable {
  /// Factor on the learning rate, by name.
  public var rateFactor: @Sendable (String) -> Double = { _ in 1 }
  /// Which gradients count in the norm that is clipped, and are scaled by it.
  public var clips: @Sendable (String) -> Bool = { _ in true }
  /// Trainables of a lower level that move first, and whose answer the gradient knows.
  public var lowerLevel: LowerLevel?
  /// What the optimizer begins with, from ``LocalTrainer/optimizerState``; empty for a fresh one.
  public var optimizerState = NamedTensors()

  /// A plain step.
  public init() {}

  /// The lower level of a bilevel problem.
  public struct LowerLevel: Sendable {
    /// The rule of one step.
    public var step: BilevelStep
    /// Which trainables are of the lower level; the work itself may not select them.
    public var selects: @Sendable (String) -> Bool
    /// Whether both levels see one batch, rather than each its own.
    public var sharesBatch: Bool

    /// A lower level.
    public init(
      step: BilevelStep, selects: @escaping @Sendable (String) -> Bool, sharesBatch: Bool
    ) {
      self.step = step
      self.selects = selects
      self.sharesBatch = sharesBatch
    }
  }
}

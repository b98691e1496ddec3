public import ApusBase
public import ApusTorch

/// The optimizer steps of one local phase, with the hooks that act around them.
public struct Stepper {
  private let phase: LocalPhase
  private let hooks: [any StepHook]
  private let clipNorm: Double
  private let rules: StepRules
  private let lower: [Tensor]
  /// Places of the tensors that share a factor on the rate, with an optimizer of their own.
  private var groups: [(factor: Double, places: [Int], optimizer: any Optimizer)] = []

  /// What the model makes of a batch: the task's loss, and what hooks may see of the run.
  public typealias Run = () throws -> (loss: Tensor, view: (any StepView)?)

  /// An optimizer that is fresh unless the rules bring its state, and the hooks in the order in
  /// which they act.
  ///
  /// - Parameters:
  ///   - phase: What trains.
  ///   - lower: Leaves of the lower level, if the rules have one.
  ///   - hooks: What acts around each step.
  ///   - training: Update rule, clipping, proximal weight.
  ///   - rules: What the method changes.
  /// - Throws: ``ApusError`` `.invalidConfig` for options that make no sense, `.checkpointMismatch`
  ///   for a state of another optimizer.
  public init(
    _ phase: LocalPhase, lower: [Tensor] = [], hooks: [any StepHook], _ training: LocalTraining,
    rules: StepRules = StepRules()
  ) throws(ApusError) {
    self.phase = phase
    self.lower = lower
    self.hooks =
      hooks + (training.proximal > 0 ? [ProximalTerm(strength: training.proximal)] : [])
    self.rules = rules
    clipNorm = training.clipNorm
    let factors = phase.trainables.map { rules.rateFactor($0.name) }
    for factor in Set(factors).sorted() {
      var optimizer = try training.optimizer.configuration.makeOptimizer()
      let own = rules.optimizerState.compactMap { name, tensor in
        name.removing(prefix: "\(factor)/").map { ($0, tensor) }
      }
      if !own.isEmpty { try optimizer.restore(Dictionary(own) { $1 }) }
      groups.append((factor, factors.indices.filter { factors[$0] == factor }, optimizer))
    }
  }

  /// Tells the hooks that the phase begins.
  public func begin() throws {
    for hook in hooks { try hook.begin(phase) }
  }

  /// Tells the hooks that the phase is over.
  public func end() {
    for hook in hooks { hook.end(phase) }
  }

  /// Makes one step.
  ///
  /// - Parameters:
  ///   - step: Which one.
  ///   - learningRate: η of this step.
  ///   - lowerLoss: Runs the model on the lower level's batch, if there is such a level.
  ///   - run: Runs the model on the step's batch.
  /// - Returns: The task's loss before the step, without penalties.
  /// - Throws: What a hook throws, and ``ApusError`` `.tensorOperation` if the model fails.
  public mutating func step(
    _ step: LocalStep, learningRate: Double,
    lowerLoss: () throws -> Tensor = { Tensor.zeros([]) }, run: Run
  ) throws -> Double {
    for hook in hooks { try hook.beforeStep(step) }
    let leaves = phase.trainables.map(\.leaf)
    var taskLoss = Tensor.zeros([])
    func whole() throws -> Tensor {
      let (loss, view) = try run()
      taskLoss = loss
      return try penalized(loss, step, view)
    }
    var gradients: [Tensor?]
    if let level = rules.lowerLevel {
      gradients = try level.step(
        upper: leaves, lower: lower, lowerLoss: lowerLoss, upperLoss: whole
      ).gradients
    } else {
      gradients = try whole().gradients(by: leaves)
    }
    let masks = try masks(step)
    for (index, mask) in masks {
      gradients[index] = withoutGradient { gradients[index].map { $0 * mask.allowed.to($0.dtype) } }
    }
    gradients = clipped(gradients)
    let kept = masks.filter { $0.mask.extent == .update }
      .map { ($0.index, $0.mask.allowed, leaves[$0.index].detached().cloned()) }
    for index in groups.indices {
      let places = groups[index].places
      groups[index].optimizer.step(
        places.map { leaves[$0] }, gradients: places.map { gradients[$0] },
        learningRate: learningRate * groups[index].factor)
    }
    for (index, allowed, former) in kept {
      let leaf = leaves[index].detached()
      leaves[index].assignInPlace(select(allowed .> 0, leaf, otherwise: former))
    }
    try report(gradients, of: step)
    let value = taskLoss.item
    try Tensor.check("local training")
    return value
  }

  private func penalized(
    _ loss: Tensor, _ step: LocalStep, _ view: (any StepView)?
  ) throws -> Tensor {
    var (total, shown) = (loss, step)
    shown.view = view
    for hook in hooks {
      if let penalty = try hook.penalty(shown) { total = total + penalty }
    }
    return total
  }

  private func clipped(_ gradients: [Tensor?]) -> [Tensor?] {
    guard clipNorm > 0 else { return gradients }
    var result = gradients
    let places = phase.trainables.indices.filter { rules.clips(phase.trainables[$0].name) }
    let scaled = ApusTorch.clipped(places.map { gradients[$0] }, toNorm: clipNorm).gradients
    for (place, gradient) in zip(places, scaled) { result[place] = gradient }
    return result
  }

  /// The masks of all hooks, by the place of their tensor; one tensor may have several.
  private func masks(_ step: LocalStep) throws -> [(index: Int, mask: StepMask)] {
    var found: [(Int, StepMask)] = []
    for hook in hooks {
      let masks = try hook.masks(step)
      guard !masks.isEmpty else { continue }
      for (index, (name, _)) in phase.trainables.enumerated() {
        if let mask = masks[name] { found.append((index, mask)) }
      }
    }
    return found
  }

  private func report(_ gradients: [Tensor?], of step: LocalStep) throws {
    guard !hooks.isEmpty else { return }
    var named: [String: Tensor] = [:]
    for ((name, _), gradient) in zip(phase.trainables, gradients) { named[name] = gradient }
    for hook in hooks { try hook.afterStep(step, gradients: NamedTensors(named)) }
  }

  /// What the optimizers keep, for ``StepRules/optimizerState``.
  public var optimizerState: NamedTensors {
    var state: [String: Tensor] = [:]
    for group in groups {
      for (name, tensor) in group.optimizer.state { state["\(group.factor)/\(name)"] = tensor }
    }
    return NamedTensors(state)
  }
}

import ApusCore
import ApusTorch

/// The optimizer steps of one local phase, with the hooks that act around them.
struct Stepper {
  private let phase: LocalPhase
  private let hooks: [any StepHook]
  private let clipNorm: Double
  private var optimizer: any Optimizer

  /// A fresh optimizer, and the hooks in the order in which they act.
  init(_ phase: LocalPhase, hooks: [any StepHook], _ training: LocalTraining) throws {
    self.phase = phase
    self.hooks =
      hooks + (training.proximal > 0 ? [ProximalTerm(strength: training.proximal)] : [])
    clipNorm = training.clipNorm
    optimizer = try training.optimizer.configuration.makeOptimizer()
  }

  /// Tells the hooks that the phase begins.
  func begin() throws {
    for hook in hooks { try hook.begin(phase) }
  }

  /// Tells the hooks that the phase is over.
  func end() {
    for hook in hooks { hook.end(phase) }
  }

  /// Makes one step.
  ///
  /// - Parameters:
  ///   - step: Which one.
  ///   - learningRate: η of this step.
  ///   - taskLoss: Runs the model on the step's batch.
  /// - Returns: The task's loss before the step, without penalties.
  /// - Throws: What a hook throws, and ``ApusError`` `.tensorOperation` if the model fails.
  mutating func step(
    _ step: LocalStep, learningRate: Double, taskLoss: () throws -> Tensor
  ) throws -> Double {
    for hook in hooks { try hook.beforeStep(step) }
    let loss = try taskLoss()
    var total = loss
    for hook in hooks {
      if let penalty = try hook.penalty(step) { total = total + penalty }
    }
    let leaves = phase.trainables.map(\.leaf)
    var gradients = total.gradients(by: leaves)
    let masks = try masks(step)
    for (index, mask) in masks {
      gradients[index] = withoutGradient { gradients[index].map { $0 * mask.allowed.to($0.dtype) } }
    }
    if clipNorm > 0 { gradients = clipped(gradients, toNorm: clipNorm).gradients }
    let kept = masks.filter { $0.mask.extent == .update }
      .map { ($0.index, $0.mask.allowed, leaves[$0.index].detached().cloned()) }
    optimizer.step(leaves, gradients: gradients, learningRate: learningRate)
    for (index, allowed, former) in kept {
      let leaf = leaves[index].detached()
      leaves[index].assignInPlace(select(allowed .> 0, leaf, otherwise: former))
    }
    try report(gradients, of: step)
    let value = loss.item
    try Tensor.check("local training")
    return value
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
}

public import ApusBase
public import ApusTorch

/// What acts around every optimizer step of a local phase: a schedule, a penalty, a mask.
///
/// Adapters and methods bring hooks; the trainer calls them in order. A step is: ``beforeStep(_:)``,
/// loss and ``penalty(_:)``, gradients, ``masks(_:)``, clipping, optimizer, ``afterStep(_:gradients:)``.
/// Every requirement has a default that does nothing.
public protocol StepHook: AnyObject {
  /// Called once, before the first step.
  func begin(_ phase: LocalPhase) throws

  /// Called before the model runs; chance comes from a substream of the step's own.
  func beforeStep(_ step: LocalStep) throws

  /// A scalar that is added to the task's loss, on the graph; nil for nothing.
  ///
  /// The model has run by then, and ``LocalStep/view`` shows what it saw.
  func penalty(_ step: LocalStep) throws -> Tensor?

  /// Which elements may move in this step, by name of the tensor; others move as a whole.
  func masks(_ step: LocalStep) throws -> [String: StepMask]

  /// Called after the optimizer, with the gradients as it got them, masked and clipped; a tensor
  /// without one is absent.
  func afterStep(_ step: LocalStep, gradients: NamedTensors) throws

  /// Called once when the phase is over, also after an error.
  func end(_ phase: LocalPhase)
}

extension StepHook {
  public func begin(_ phase: LocalPhase) throws {}
  public func beforeStep(_ step: LocalStep) throws {}
  public func penalty(_ step: LocalStep) throws -> Tensor? { nil }
  public func masks(_ step: LocalStep) throws -> [String: StepMask] { [:] }
  public func afterStep(_ step: LocalStep, gradients: NamedTensors) throws {}
  public func end(_ phase: LocalPhase) {}
}

/// What the steps of one local phase have in common.
public struct LocalPhase {
  /// The tensors that train in this phase, by name.
  public let trainables: [(name: String, leaf: Tensor)]
  /// Steps that the phase will have.
  public let stepCount: Int
  /// Steps that it would have if no deadline bounded it.
  public let fullStepCount: Int
  /// Which round of the run it belongs to; nil if whoever trains did not say.
  public let round: Round?

  /// Describes a phase.
  public init(
    trainables: [(name: String, leaf: Tensor)], stepCount: Int, fullStepCount: Int, round: Round?
  ) {
    self.trainables = trainables
    self.stepCount = stepCount
    self.fullStepCount = fullStepCount
    self.round = round
  }

  /// Steps of the whole run as this client counts them: rounds × its steps in a full round.
  public var runStepCount: Int? { round.map { $0.total * fullStepCount } }
}

/// One optimizer step of a local phase.
public struct LocalStep {
  /// The phase.
  public let phase: LocalPhase
  /// From 0.
  public let index: Int
  /// The step's own stream.
  public let random: RandomStream
  /// What the model shows of the step, once it has run.
  public internal(set) var view: (any StepView)?

  /// Describes a step.
  public init(_ phase: LocalPhase, index: Int, random: RandomStream) {
    self.phase = phase
    self.index = index
    self.random = random
  }

  /// The step's place in the whole run, from 0: rounds before it count as full ones, also those in
  /// which the client was not drawn, so that all clients are at the same part of their run.
  public var runIndex: Int? { phase.round.map { $0.index * phase.fullStepCount + index } }
}

/// What the model shows of one step to a hook's penalty.
public protocol StepView {
  /// What the last layer sees of each example of the batch [B, D], on the graph.
  var features: Tensor { get }

  /// The same with another mixture of the adapters: a constant, with dropout of its own or none.
  func features(under mixture: AdapterMixture, dropping: Bool) throws -> Tensor
}

/// Which elements of a tensor a step may move.
public struct StepMask: Sendable {
  /// What is kept from the elements that may not move.
  public enum Extent: Sendable {
    /// Their gradient; the optimizer's momentum and weight decay still act.
    case gradient
    /// Any change.
    case update
  }

  /// 1 where an element may move, 0 elsewhere; of the tensor's shape or one that broadcasts to it.
  public let allowed: Tensor
  /// What is kept from the others.
  public let extent: Extent

  /// A mask of zeros and ones.
  public init(_ allowed: Tensor, _ extent: Extent) {
    self.allowed = allowed
    self.extent = extent
  }
}

/// FedProx: pulls what trains towards the values with which the phase began, by μ/2·‖φ − φᵗ‖².
///
/// - Source: Li et al., arXiv 1812.06127, eq. 2.
public final class ProximalTerm: StepHook {
  private let strength: Double
  private var anchors: [Tensor] = []

  /// The term with this μ > 0.
  public init(strength: Double) { self.strength = strength }

  public func begin(_ phase: LocalPhase) {
    anchors = phase.trainables.map { $0.leaf.detached().cloned() }
  }

  public func penalty(_ step: LocalStep) -> Tensor? {
    let distances = zip(step.phase.trainables, anchors).map { ($0.leaf - $1).squared.sum() }
    return distances.dropFirst().reduce(distances.first) { sum, term in sum.map { $0 + term } }
      .map { $0 * (strength / 2) }
  }
}

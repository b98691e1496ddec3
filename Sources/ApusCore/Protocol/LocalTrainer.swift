public import ApusBase
public import ApusTorch

/// The model with its adapters, and one client's data: the hands of a client half.
///
/// A worker's model is used by one client after another, so a half loads what it needs before it
/// trains and takes copies away.
public protocol LocalTrainer: AnyObject {
  /// Number of training rows, nₖ.
  var sampleCount: Int { get }

  /// The trainable tensors as every client starts with them, from the run's seed.
  var initial: NamedTensors { get }

  /// Copies of the trainable tensors as they are now.
  var trainables: NamedTensors { get }

  /// Overwrites trainable tensors by name; those not named keep their values.
  ///
  /// Factors may come with another rank than they have, if both of a site do.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for an unknown name or another shape.
  func load(_ values: NamedTensors) throws

  /// Sets the scaling s of adapters by site; those not named get that of the configuration.
  ///
  /// Only methods whose clients have ranks of their own need it, and they set it before they load.
  ///
  /// - Throws: ``ApusError`` `.unsupported` if the trainer's adapters have no scaling to set.
  func rescale(_ scalings: [String: Double]) throws

  /// Sets what is added to the frozen weights; sites that the delta does not name get nothing.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for a site without an adapter or another shape.
  func load(_ delta: BaseDelta) throws

  /// Sets how named adapters act together, and the companion beside them, from now on.
  ///
  /// A weight for each example counts the rows of the split that is measured next.
  ///
  /// - Throws: ``ApusError`` `.unsupported` if the model has no such adapters, or no emulator.
  func load(_ mixture: AdapterMixture) throws

  /// Trains from the present values, with a fresh optimizer unless the work brings a state.
  func train(_ work: LocalWork) async throws -> TrainingOutcome

  /// Loss and task metrics of the present values on one split; empty if it has no rows.
  func evaluate(_ split: DataSplit) async throws -> Metrics

  /// What the last layer sees of each row of a split [n, D], in evaluation, with the present values
  /// and mixture; in the rows' order.
  func features(of split: DataSplit) async throws -> Tensor

  /// Mean and variance of what goes into each frozen layer over the rows of a split, with the
  /// present values and mixture; in the order of the layers' names.
  func inputMoments(of split: DataSplit) async throws -> [RunningMoments]

  /// What the optimizer of the last phase keeps, by the names of ``Optimizer/state``.
  var optimizerState: NamedTensors { get }
}

extension LocalTrainer {
  /// A trainer with one adapter has nothing to mix, and runs every block.
  public func load(_ mixture: AdapterMixture) throws {
    guard mixture.emulator == nil else { throw Self.lacking("emulator of its lower blocks") }
    guard !mixture.shares.isEmpty || mixture.companion != nil else { return }
    throw Self.lacking("named adapters")
  }

  /// A trainer that shows no features.
  public func features(of split: DataSplit) async throws -> Tensor {
    throw Self.lacking("features of its rows")
  }

  /// A trainer that shows no inputs.
  public func inputMoments(of split: DataSplit) async throws -> [RunningMoments] {
    throw Self.lacking("inputs of its layers")
  }

  /// A trainer that forgets its optimizer.
  public var optimizerState: NamedTensors { NamedTensors() }

  private static func lacking(_ what: String) -> ApusError {
    ApusError(
      .unsupported, at: "local trainer", "this trainer has no \(what)",
      remedy: "Use a trainer of the library, or a method that does without")
  }
}

extension LocalTrainer {
  /// A trainer that cannot change scalings has those of the configuration.
  public func rescale(_ scalings: [String: Double]) throws {
    guard let site = scalings.keys.min() else { return }
    throw ApusError(
      .unsupported, at: site, "the scaling of this trainer's adapters is fixed",
      remedy: "Use a method whose clients have one rank")
  }
}

/// One local phase: how to train, on which chance, within which bounds.
public struct LocalWork {
  /// Epochs, batch size, optimizer, schedule.
  public var training: LocalTraining
  /// Source of shuffling and dropout.
  public var random: RandomStream
  /// Most steps to do, as partial work of a slow device; nil for all of the epochs.
  public var stepLimit: Int?
  /// The round that the phase belongs to, for schedules over the whole run; nil outside of one.
  public var round: Round?
  /// Which trainables move; the others keep their values and get no gradient.
  public var selects: @Sendable (String) -> Bool
  /// What the method does around each step; adapters bring hooks of their own, which act first.
  public var hooks: [any StepHook]
  /// What the method changes of gradients and rates.
  public var rules = StepRules()

  /// Describes one local phase; by default everything trains.
  public init(
    training: LocalTraining, random: RandomStream, stepLimit: Int? = nil, round: Round? = nil,
    selects: @escaping @Sendable (String) -> Bool = { _ in true }, hooks: [any StepHook] = []
  ) {
    self.training = training
    self.random = random
    self.stepLimit = stepLimit
    self.round = round
    self.selects = selects
    self.hooks = hooks
  }

  /// What a client usually does in a round: its own training, on the chance of client and round.
  ///
  /// - Parameters:
  ///   - setting: The client.
  ///   - round: The round.
  ///   - brief: What opened the round, for the bound on the work that it carries.
  ///   - selects: Which trainables move.
  ///   - hooks: What the method does around each step.
  public init(
    of setting: ClientSetting, in round: Round, on brief: Message,
    selects: @escaping @Sendable (String) -> Bool = { _ in true }, hooks: [any StepHook] = []
  ) {
    self.init(
      training: setting.training, random: round.random(of: setting.id),
      stepLimit: brief.stepLimit, round: round, selects: selects, hooks: hooks)
  }
}

/// What a local phase did.
public struct TrainingOutcome: Sendable, Equatable {
  /// Optimizer steps, τₖ.
  public var steps: Int
  /// Mean loss over the steps, in nats; 0 without a step.
  public var meanLoss: Double
  /// Rows that went through the model, repeats counted.
  public var rows: Int
  /// Tokens that went through the model, repeats counted.
  public var tokens: Int

  /// Collects the numbers of one phase.
  public init(steps: Int, meanLoss: Double, rows: Int, tokens: Int) {
    self.steps = steps
    self.meanLoss = meanLoss
    self.rows = rows
    self.tokens = tokens
  }
}

extension Message {
  /// Name of the field by which a brief bounds a client's work.
  public static let stepLimitKey = "step_limit"

  /// The update that a client half usually sends: tensors, nₖ, and what the training did.
  public init(tensors: NamedTensors, sampleCount: Int, outcome: TrainingOutcome) {
    self.init(tensors: tensors, sampleCount: sampleCount)
    fields["steps"] = .int(outcome.steps)
    fields["loss"] = .double(outcome.meanLoss)
  }

  /// The bound on the client's work that a brief carries.
  public var stepLimit: Int? { fields[Self.stepLimitKey]?.int }
}

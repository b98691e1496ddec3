import ApusAdapters
import ApusBase
public import ApusCore
import ApusDatasets
public import ApusTorch

/// Trains and measures an adapted model on one client's rows.
///
/// Rows are packed without padding, the optimizer is fresh in every phase, and every draw comes
/// from the work's stream, so a phase depends on its start values, its rows and its stream alone.
public final class Learner: LocalTrainer {
  public let initial: NamedTensors
  let model: WorkerModel
  let rows: TokenizedRows
  let positions: [DataSplit: [Int]]
  private let commonTest: TokenizedRows
  private var mixture = AdapterMixture()

  /// Tokens that evaluation sends through the model at once.
  private static let evaluationTokens = 1_024

  /// A learner for the rows at these positions.
  ///
  /// - Parameters:
  ///   - model: The worker's model; used by one client after another.
  ///   - rows: All rows of the federation.
  ///   - positions: The client's rows by split.
  ///   - commonTest: Test rows of the whole federation, for clients without test rows of their own.
  ///   - initial: The trainable tensors as every client starts with them.
  public init(
    model: WorkerModel, rows: TokenizedRows, positions: [DataSplit: [Int]],
    commonTest: TokenizedRows, initial: NamedTensors
  ) {
    self.model = model
    self.rows = rows
    self.positions = positions
    self.commonTest = commonTest
    self.initial = initial
  }

  public var sampleCount: Int { positions[.train]?.count ?? 0 }

  public var trainables: NamedTensors { model.values }

  public private(set) var optimizerState = NamedTensors()

  public func load(_ values: NamedTensors) throws { try model.load(values) }

  public func rescale(_ scalings: [String: Double]) throws {
    try model.adapted.rescale(scalings)
  }

  public func load(_ delta: BaseDelta) throws { try model.adapted.load(delta) }

  public func load(_ mixture: AdapterMixture) throws {
    try model.load(mixture)
    self.mixture = mixture
  }

  public func train(_ work: LocalWork) async throws -> TrainingOutcome {
    guard let own = positions[.train], !own.isEmpty else {
      throw ApusError(
        .silentFailure, at: "local training", "there are no training rows",
        remedy: "Give every client rows, or leave it out of the partition")
    }
    let training = work.training
    let moving = model.trainables.filter { work.selects($0.name) }
    guard !moving.isEmpty else {
      throw ApusError(
        .silentFailure, at: "local training", "no tensor is selected to train",
        remedy: "Check the method's selection and the adapter's targets")
    }
    // What does not train has no place in the graph, nor has anything below the lowest that does.
    let level = work.rules.lowerLevel
    let still = model.trainables.filter {
      !work.selects($0.name) && !(level?.selects($0.name) ?? false)
    }.map(\.leaf)
    for leaf in still { leaf.requireGradientInPlace(false) }
    defer { for leaf in still { leaf.requireGradientInPlace(true) } }
    let schedule = try training.makeSchedule()
    let stepsPerEpoch = (own.count + training.batchSize - 1) / training.batchSize
    let fullCount = stepsPerEpoch * training.localEpochs
    let phase = LocalPhase(
      trainables: moving, stepCount: min(fullCount, work.stepLimit ?? .max),
      fullStepCount: fullCount, round: work.round)
    let lower = model.trainables.filter { level?.selects($0.name) ?? false }.map(\.leaf)
    var stepper = try Stepper(
      phase, lower: lower, hooks: model.adapted.makeStepHooks() + work.hooks, training,
      rules: work.rules)
    try stepper.begin()
    defer { stepper.end() }
    var outcome = TrainingOutcome(steps: 0, meanLoss: 0, rows: 0, tokens: 0)
    for epoch in 0..<training.localEpochs where outcome.steps < phase.stepCount {
      let plan = try plan(own.count, training, work.random, epoch)
      let other = level.map { $0.sharesBatch ? work.random : work.random.substream("lower") }
      let below = try other.map { try self.plan(own.count, training, $0, epoch) }
      for (place, places) in plan.batches.enumerated() where outcome.steps < phase.stepCount {
        try Task.checkCancellation()
        let batch = places.map { own[$0] }
        let step = LocalStep(
          phase, index: outcome.steps, random: work.random.substream("step", outcome.steps))
        let rate = training.learningRate * schedule.factor(step: step.index, of: phase.stepCount)
        let loss = try stepper.step(
          step, learningRate: rate,
          lowerLoss: {
            let rows = below?.batches[place].map { own[$0] } ?? batch
            return try run(rows, random: step.random.substream("lower")).loss
          }, run: { try run(batch, random: step.random) })
        guard loss.isFinite else {
          throw ApusError(
            .nonFinite, at: "local training, step \(outcome.steps)", "the loss is \(loss)",
            remedy: "Lower learning-rate or set clip-norm")
        }
        outcome.meanLoss += (loss - outcome.meanLoss) / Double(outcome.steps + 1)
        outcome.steps += 1
        outcome.rows += batch.count
        outcome.tokens += batch.reduce(0) { $0 + rows.ids[$1].count }
      }
    }
    optimizerState = stepper.optimizerState
    return outcome
  }

  /// One pass over the rows.
  private func plan(
    _ count: Int, _ training: LocalTraining, _ random: RandomStream, _ epoch: Int
  ) throws -> BatchPlan {
    try BatchPlan.shuffled(
      count: count, batchSize: training.batchSize, random: random.substream("batches", epoch))
  }

  /// Runs the model on the training rows at these positions.
  private func run(
    _ positions: [Int], random: RandomStream
  ) throws -> (loss: Tensor, view: (any StepView)?) {
    guard let task = model.task as? any FeatureTask else {
      return (try model.task.loss(rows, positions, random: random), nil)
    }
    let output = try task.run(rows, positions, random: random)
    return (
      output.loss,
      LearnerView(
        learner: self, task: task, positions: positions, random: random, features: output.features)
    )
  }

  /// The task, if it shows features.
  private func featureTask() throws(ApusError) -> any FeatureTask {
    if let task = model.task as? any FeatureTask { return task }
    throw ApusError(
      .unsupported, at: "task \(model.task.kind.rawValue)",
      "it shows no features of its rows, which the method compares",
      remedy: "Choose sequence-classification or causal-lm, or another method")
  }

  /// What a penalty sees of a step.
  private struct LearnerView: StepView {
    let learner: Learner
    let task: any FeatureTask
    let positions: [Int]
    let random: RandomStream
    let features: Tensor

    func features(under mixture: AdapterMixture, dropping: Bool) throws -> Tensor {
      try learner.model.load(mixture)
      let random = dropping ? random.substream("reference") : nil
      let found = try withoutGradient {
        try task.run(learner.rows, positions, random: random).features
      }
      try learner.model.load(learner.mixture)
      return found
    }
  }

  public func evaluate(_ split: DataSplit) async throws -> Metrics {
    let (positions, rows) = place(split)
    return model.task.kind.metrics(of: try sums(positions, of: rows))
  }

  /// The rows of a split: the client's own, or the federation's test rows if it has none.
  private func place(_ split: DataSplit) -> (positions: [Int], rows: TokenizedRows) {
    let own = positions[split] ?? []
    guard split == .test, own.isEmpty else { return (own, rows) }
    return (Array(0..<commonTest.count), commonTest)
  }

  /// Sums over the rows at these positions, from which the task's metrics follow.
  ///
  /// - Throws: ``ApusError`` `.tensorOperation` if the model fails.
  public func sums(
    _ positions: [Int], of rows: TokenizedRows
  ) throws -> [String: Double] {
    var sums: [String: Double] = [:]
    try visit(positions, of: rows) { batch, _ in
      sums.merge(try model.task.sums(rows, batch)) { $0 + $1 }
    }
    return sums
  }

  public func features(of split: DataSplit) async throws -> Tensor {
    let (task, (positions, rows)) = (try featureTask(), place(split))
    var (found, order) = ([Tensor](), [Int]())
    try visit(positions, of: rows) { batch, places in
      found.append(try task.features(rows, batch))
      order += places
    }
    guard !found.isEmpty else { return Tensor.zeros([0, 1], device: model.device) }
    var row = [Int](repeating: 0, count: order.count)
    for (index, place) in order.enumerated() { row[place] = index }
    return concatenated(found).indexSelected(
      0, Tensor(row, shape: [row.count]).to(device: model.device))
  }

  public func inputMoments(of split: DataSplit) async throws -> [RunningMoments] {
    let (positions, rows) = place(split)
    return try model.adapted.inputMoments {
      try visit(positions, of: rows) { batch, _ in _ = try model.task.sums(rows, batch) }
    }
  }

  /// Hands batches of rows of like length to `body`, each with its places among the positions;
  /// weights for each example are cut to the batch.
  func visit(
    _ positions: [Int], of rows: TokenizedRows,
    _ body: (_ batch: [Int], _ places: [Int]) throws -> Void
  ) throws {
    let plan = try BatchPlan.sortedByLength(
      positions.map { rows.ids[$0].count }, tokenBudget: Self.evaluationTokens)
    for places in plan.batches {
      try Task.checkCancellation()
      if mixture.isPerExample { try model.load(mixture.selecting(places)) }
      try body(places.map { positions[$0] }, places)
    }
    if mixture.isPerExample { try model.load(mixture) }
    try Tensor.check("evaluation")
  }
}

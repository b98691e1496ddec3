import ApusAdapters
import ApusBase
public import ApusCore
import ApusDatasets
import ApusModels
import ApusTorch

/// Trains and measures an adapted model on one client's rows.
///
/// Rows are packed without padding, the optimizer is fresh in every phase, and every draw comes
/// from the work's stream, so a phase depends on its start values, its rows and its stream alone.
public final class Learner: LocalTrainer {
  public let initial: NamedTensors
  private let model: WorkerModel
  private let rows: TokenizedRows
  private let positions: [DataSplit: [Int]]
  private let commonTest: TokenizedRows

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

  public var trainables: NamedTensors { model.adapted.values }

  public func load(_ values: NamedTensors) throws { try model.adapted.load(values) }

  public func load(_ delta: BaseDelta) throws { try model.adapted.load(delta) }

  public func train(_ work: LocalWork) async throws -> TrainingOutcome {
    guard let own = positions[.train], !own.isEmpty else {
      throw ApusError(
        .silentFailure, at: "local training", "there are no training rows",
        remedy: "Give every client rows, or leave it out of the partition")
    }
    let training = work.training
    let moving = model.adapted.trainables.filter { work.selects($0.name) }
    guard !moving.isEmpty else {
      throw ApusError(
        .silentFailure, at: "local training", "no tensor is selected to train",
        remedy: "Check the method's selection and the adapter's targets")
    }
    let schedule = try training.makeSchedule()
    let stepsPerEpoch = (own.count + training.batchSize - 1) / training.batchSize
    let fullCount = stepsPerEpoch * training.localEpochs
    let phase = LocalPhase(
      trainables: moving, stepCount: min(fullCount, work.stepLimit ?? .max),
      fullStepCount: fullCount, round: work.round)
    var stepper = try Stepper(phase, hooks: model.adapted.makeStepHooks() + work.hooks, training)
    try stepper.begin()
    defer { stepper.end() }
    var outcome = TrainingOutcome(steps: 0, meanLoss: 0, rows: 0, tokens: 0)
    for epoch in 0..<training.localEpochs where outcome.steps < phase.stepCount {
      let plan = try BatchPlan.shuffled(
        count: own.count, batchSize: training.batchSize,
        random: work.random.substream("batches", epoch))
      for places in plan.batches where outcome.steps < phase.stepCount {
        try Task.checkCancellation()
        let batch = places.map { own[$0] }
        let step = LocalStep(
          phase, index: outcome.steps, random: work.random.substream("step", outcome.steps))
        let rate = training.learningRate * schedule.factor(step: step.index, of: phase.stepCount)
        let loss = try stepper.step(step, learningRate: rate) {
          try model.task.loss(rows, batch, random: step.random)
        }
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
    return outcome
  }

  public func evaluate(_ split: DataSplit) async throws -> Metrics {
    let own = positions[split] ?? []
    guard split == .test, own.isEmpty else { return try measure(own, of: rows) }
    return try measure(Array(0..<commonTest.count), of: commonTest)
  }

  private func measure(_ positions: [Int], of rows: TokenizedRows) throws -> Metrics {
    model.task.kind.metrics(of: try sums(positions, of: rows))
  }

  /// Sums over the rows at these positions, from which the task's metrics follow.
  ///
  /// - Throws: ``ApusError`` `.tensorOperation` if the model fails.
  public func sums(
    _ positions: [Int], of rows: TokenizedRows
  ) throws -> [String: Double] {
    var sums: [String: Double] = [:]
    let plan = try BatchPlan.sortedByLength(
      positions.map { rows.ids[$0].count }, tokenBudget: Self.evaluationTokens)
    for places in plan.batches {
      try Task.checkCancellation()
      let batch = places.map { positions[$0] }
      sums.merge(try model.task.sums(rows, batch)) { $0 + $1 }
    }
    try Tensor.check("evaluation")
    return sums
  }
}

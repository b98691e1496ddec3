import ApusAdapters
public import ApusBase
public import ApusCore
import ApusDatasets
import ApusModels
import ApusTorch

/// Aligns the emulator of a causal language model on rows that the server has.
///
/// The student is the emulator under the adapter, the teacher the whole model under the same
/// adapter, both without dropout; only the emulator's own LoRA moves. Rows are packed, so that no
/// padding counts, unlike in the paper's code. The optimizer is that of local training, fresh each
/// time.
public final class PublicAligner: EmulatorAligner {
  private let model: WorkerModel
  private let language: CausalLanguageModel
  private let rows: TokenizedRows
  private let training: LocalTraining
  private let whole: AdapterMixture
  private let emulated: AdapterMixture
  private let exit: SequenceSite

  /// An aligner with a model of its own.
  ///
  /// - Parameters:
  ///   - model: Whole, with the adapters of both parts.
  ///   - rows: The server's.
  ///   - training: Batch size, rate and optimizer.
  ///   - plan: How the model is cut.
  /// - Throws: ``ApusError`` `.unsupported` for another task than causal-lm, `.invalidData` without
  ///   rows, `.invalidConfig` for a cut that the model has not the blocks for.
  public init(
    model: WorkerModel, rows: TokenizedRows, training: LocalTraining, plan: EmulatorPlan
  ) throws(ApusError) {
    guard let task = model.task as? CausalLanguageTask else {
      throw ApusError(
        .unsupported, at: "task \(model.task.kind.rawValue)",
        "an emulator is aligned by the distributions of next tokens, which the task has not",
        remedy: "Choose the task causal-lm, or another method")
    }
    guard rows.count > 0 else {
      throw ApusError(
        .invalidData, at: "data.public-rows", "there are no rows",
        remedy: "Give a file with rows that the server may see")
    }
    let entrances = task.model.entrances
    exit = entrances[try plan.adapted(of: entrances.count).lowerBound]
    (self.model, language, self.rows) = (model, task.model, rows)
    var own = training
    own.proximal = 0  // of the clients' objective
    self.training = own
    whole = .only(AdapterName.standard, of: [EmulatorPlan.adapterName])
    var cut = AdapterMixture()
    cut.emulator = plan
    emulated = cut
  }

  public func align(
    _ values: NamedTensors, steps: Int, divergenceWeight: Double, random: RandomStream
  ) throws -> Alignment {
    try model.load(values)
    let moving = model.trainables.filter { Self.isEmulator($0.name) }
    let still = model.trainables.filter { !Self.isEmulator($0.name) }.map(\.leaf)
    for leaf in still { leaf.requireGradientInPlace(false) }
    defer { for leaf in still { leaf.requireGradientInPlace(true) } }
    let phase = LocalPhase(
      trainables: moving, stepCount: steps, fullStepCount: steps, round: nil)
    var stepper = try Stepper(phase, hooks: [], training)
    let schedule = try training.makeSchedule()
    var (batches, sums) = ([[Int]](), (representation: 0.0, divergence: 0.0))
    for index in 0..<steps {
      try Task.checkCancellation()
      if batches.isEmpty {
        batches = try BatchPlan.shuffled(
          count: rows.count, batchSize: training.batchSize,
          random: random.substream("batches", index)
        ).batches
      }
      let batch = batches.removeFirst()
      let loss = try stepper.step(
        LocalStep(phase, index: index, random: random.substream("step", index)),
        learningRate: training.learningRate * schedule.factor(step: index, of: steps)
      ) {
        let parts = try losses(batch, withDivergence: divergenceWeight > 0)
        sums.representation += parts.representation.item
        sums.divergence += parts.divergence?.item ?? 0
        let divergence = parts.divergence.map { $0 * divergenceWeight }
        return (divergence.map { parts.representation + $0 } ?? parts.representation, nil)
      }
      guard loss.isFinite else {
        throw ApusError(
          .nonFinite, at: "alignment of the emulator, step \(index)", "the loss is \(loss)",
          remedy: "Lower learning-rate or set clip-norm")
      }
    }
    let count = Double(max(1, steps))
    return Alignment(
      emulator: model.values.filtered(Self.isEmulator),
      representation: sums.representation / count, divergence: sums.divergence / count)
  }

  private static func isEmulator(_ name: String) -> Bool {
    AdapterName.of(name) == EmulatorPlan.adapterName
  }

  /// Both distances on the rows at these positions, on the graph of the emulator.
  private func losses(
    _ positions: [Int], withDivergence: Bool
  ) throws -> (representation: Tensor, divergence: Tensor?) {
    let batch = try rows.batch(positions, device: model.device)
    try model.load(whole)
    let teacher = withoutGradient { observed(batch) }
    let full = withDivergence ? withoutGradient { language.scores(teacher.last) } : nil
    try model.load(emulated)
    let student = observed(batch)
    return (
      EmulatorLoss.representation(teacher: teacher.lower, student: student.lower),
      full.map { EmulatorLoss.divergence(full: $0, emulated: language.scores(student.last)) }
    )
  }

  /// What leaves the lower blocks, and the last hidden states, both [T, D].
  private func observed(_ batch: TokenBatch) -> (lower: Tensor, last: Tensor) {
    var lower = Tensor.zeros([])
    exit.observer = { lower = $0 }
    defer { exit.observer = nil }
    let last = language.hidden(batch)
    return (lower, last)
  }
}

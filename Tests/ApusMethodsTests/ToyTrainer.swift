import ApusBase
import ApusCore
import ApusTorch
import Testing

/// A ``ToyModel`` and one client's rows.
///
/// W′ = W + s·B·A as on a real backbone, so that B = 0 gives the frozen model. Everything is small
/// enough to take real gradient steps in a millisecond. A base delta is added to W.
///
/// - Shapes: x [n, 4], z [n, 3], r = 2 unless told.
final class ToyTrainer: LocalTrainer {
  static let scaling = 0.5
  static let pairs = [
    FactorPair(
      site: "first", a: "first.lora_A.weight", b: "first.lora_B.weight", scaling: scaling),
    FactorPair(
      site: "second", a: "second.lora_A.weight", b: "second.lora_B.weight", scaling: scaling),
  ]

  let initial: NamedTensors
  let model: ToyModel
  private let inputs: Tensor
  private let targets: Tensor
  /// What is added to the frozen layers now.
  private(set) var baseDelta = BaseDelta()
  /// s by site where a method has set another.
  private(set) var scalings: [String: Double] = [:]
  /// How the adapters act together now.
  private(set) var mixture = AdapterMixture()

  /// Names of what got a gradient in the last local phase.
  private(set) var moved: [String] = []
  /// Names of what moved in each local phase so far.
  private(set) var phases: [[String]] = []

  /// The trainer of a client; clients of one run share the frozen layers and the start values.
  init(
    inputs: Tensor, targets: Tensor, scaling: Double = ToyTrainer.scaling, rank: Int = 2,
    modelExtension: ModelExtension = ModelExtension()
  ) {
    model = ToyModel(scaling: scaling, rank: rank, modelExtension: modelExtension)
    (self.inputs, self.targets) = (inputs, targets)
    initial = model.values
  }

  /// A client with `rows` rows of data of its own.
  convenience init(
    client: Int, rows: Int, scaling: Double = ToyTrainer.scaling, rank: Int = 2,
    modelExtension: ModelExtension = ModelExtension()
  ) {
    var stream = RandomStream(seed: 2).substream("data", client)
    self.init(
      inputs: Tensor.normal([rows, 4], stream: &stream),
      targets: Tensor.normal([rows, 3], mean: Double(client) * 0.3, stream: &stream),
      scaling: scaling, rank: rank, modelExtension: modelExtension)
  }

  /// One trainer with the rows of all.
  convenience init(pooling trainers: [ToyTrainer]) {
    self.init(
      inputs: concatenated(trainers.map(\.inputs)), targets: concatenated(trainers.map(\.targets)))
  }

  var frozen: NamedTensors { model.frozen }

  var sampleCount: Int { inputs.size(0) }

  var trainables: NamedTensors { model.values }

  func load(_ new: NamedTensors) throws {
    var expected = model.values.filtered { new[$0] != nil }
    let resized = Self.pairs.filter { pair in  // another rank, if both factors come with it
      new.rank(of: pair).map { $0 != expected.rank(of: pair) } ?? false
    }
    for pair in resized {
      guard let a = expected[pair.a], let b = expected[pair.b], let rank = new.rank(of: pair) else {
        continue
      }
      expected[pair.a] = .zeros([rank, a.size(1)])
      expected[pair.b] = .zeros([b.size(0), rank])
    }
    try new.requireShapes(of: expected, at: "trainer")
    for pair in resized { model.resize(pair, toRank: new.rank(of: pair) ?? 1) }
    for (name, tensor) in new { model.leaves[name]?.assignInPlace(tensor.detached()) }
  }

  func rescale(_ scalings: [String: Double]) {
    self.scalings = scalings
    model.rescale(scalings)
  }

  func load(_ delta: BaseDelta) throws {
    try delta.sites.requireShapes(of: frozen.filtered { delta.sites[$0] != nil }, at: "trainer")
    baseDelta = delta
    model.load(delta)
  }

  func load(_ mixture: AdapterMixture) throws {
    self.mixture = mixture
    model.load(mixture)
  }

  func train(_ work: LocalWork) async throws -> TrainingOutcome {
    let training = work.training
    let schedule = try training.makeSchedule()
    let stepsPerEpoch = (sampleCount + training.batchSize - 1) / training.batchSize
    let full = training.localEpochs * stepsPerEpoch
    let phase = LocalPhase(
      trainables: leaves(work.selects), stepCount: min(full, work.stepLimit ?? .max),
      fullStepCount: full, round: work.round)
    let lower = leaves { work.rules.lowerLevel?.selects($0) ?? false }.map(\.leaf)
    var stepper = try Stepper(
      phase, lower: lower, hooks: work.hooks, training, rules: work.rules)
    try stepper.begin()
    defer { stepper.end() }
    moved = phase.trainables.map(\.name)
    phases.append(moved)
    var outcome = TrainingOutcome(steps: 0, meanLoss: 0, rows: 0, tokens: 0)
    for index in 0..<phase.stepCount {
      let batch = rows(of: index, training.batchSize, work.random)
      let shares = work.rules.lowerLevel?.sharesBatch ?? true
      let other =
        shares ? batch : rows(of: index, training.batchSize, work.random.substream("lower"))
      let loss = try stepper.step(
        LocalStep(phase, index: index, random: work.random.substream("step", index)),
        learningRate: training.learningRate * schedule.factor(step: index, of: phase.stepCount),
        lowerLoss: { run(other).loss }, run: { run(batch) })
      outcome.steps += 1
      outcome.rows += batch.count
      outcome.meanLoss += loss / Double(phase.stepCount)
    }
    optimizerState = stepper.optimizerState
    return outcome
  }

  private func leaves(_ selects: (String) -> Bool) -> [(name: String, leaf: Tensor)] {
    initial.names.filter(selects).compactMap { name in model.leaves[name].map { (name, $0) } }
  }

  /// Rows of one step: every epoch is a shuffled pass.
  private func rows(of step: Int, _ batchSize: Int, _ random: RandomStream) -> [Int] {
    let stepsPerEpoch = (sampleCount + batchSize - 1) / batchSize
    var stream = random.substream("epoch", step / stepsPerEpoch)
    let order = stream.shuffled(0..<sampleCount)
    return Array(order.dropFirst(step % stepsPerEpoch * batchSize).prefix(batchSize))
  }

  func evaluate(_ split: DataSplit) async throws -> Metrics {
    ["loss": run(Array(0..<sampleCount)).loss.item]
  }

  func features(of split: DataSplit) async throws -> Tensor {
    withoutGradient { model.output(inputs).features }
  }

  func inputMoments(of split: DataSplit) async throws -> [RunningMoments] {
    model.layerInputs(inputs).map { input in
      var moments = RunningMoments()
      moments.add(input)
      return moments
    }
  }

  private(set) var optimizerState = NamedTensors()

  /// Half the mean over rows of the squared distance to the targets.
  private func run(_ rows: [Int]) -> (loss: Tensor, view: (any StepView)?) {
    let index = Tensor(rows, shape: [rows.count])
    let x = inputs.indexSelected(0, index)
    let output = model.output(x)
    let loss = (output.scores - targets.indexSelected(0, index)).squared.sum([1]).mean() * 0.5
    return (loss, ToyView(model: model, mixture: mixture, inputs: x, features: output.features))
  }

  /// The model's answers to this client's inputs, with the present values or without adapters.
  func answers(adapted: Bool) -> Tensor {
    withoutGradient { adapted ? model.output(inputs).scores : model.frozenScores(inputs) }
  }
}

/// What a penalty sees of a toy's step.
private struct ToyView: StepView {
  let model: ToyModel
  let mixture: AdapterMixture
  let inputs: Tensor
  let features: Tensor

  func features(under other: AdapterMixture, dropping: Bool) -> Tensor {
    model.load(other)
    defer { model.load(mixture) }
    return withoutGradient { model.output(inputs).features }
  }
}

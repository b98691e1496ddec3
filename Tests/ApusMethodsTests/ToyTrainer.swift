import ApusBase
import ApusCore
import ApusTorch
import Testing

/// Two frozen linear layers with a LoRA pair each and a trained bias: z = W′₂·tanh(W′₁·x) + c.
///
/// W′ = W + s·B·A as on a real backbone, so that B = 0 gives the frozen model. Everything is small
/// enough to take real gradient steps in a millisecond. A base delta is added to W.
///
/// - Shapes: x [n, 4], W₁ [5, 4], W₂ [3, 5], r = 2 unless told, z [n, 3].
final class ToyTrainer: LocalTrainer {
  static let scaling = 0.5
  static let pairs = [
    FactorPair(
      site: "first", a: "first.lora_A.weight", b: "first.lora_B.weight", scaling: scaling),
    FactorPair(
      site: "second", a: "second.lora_A.weight", b: "second.lora_B.weight", scaling: scaling),
  ]

  let initial: NamedTensors
  let frozen: NamedTensors
  private let inputs: Tensor
  private let targets: Tensor
  private let scaling: Double
  /// s by site where a method has set another.
  private(set) var scalings: [String: Double] = [:]
  private var values: NamedTensors
  /// What is added to the frozen layers now.
  private(set) var baseDelta = BaseDelta()

  /// Names of what got a gradient in the last local phase.
  private(set) var moved: [String] = []

  /// The trainer of a client; clients of one run share the frozen layers and the start values.
  init(
    inputs: Tensor, targets: Tensor, scaling: Double = ToyTrainer.scaling, rank: Int = 2
  ) {
    var stream = RandomStream(seed: 1).substream("backbone")
    func draw(_ shape: [Int]) -> Tensor { Tensor.normal(shape, deviation: 0.5, stream: &stream) }
    frozen = NamedTensors(["first": draw([5, 4]), "second": draw([3, 5])])
    initial = NamedTensors([
      "first.lora_A.weight": draw([rank, 4]), "first.lora_B.weight": .zeros([5, rank]),
      "second.lora_A.weight": draw([rank, 5]), "second.lora_B.weight": .zeros([3, rank]),
      "head.bias": .zeros([3]),
    ])
    (self.inputs, self.targets, self.scaling) = (inputs, targets, scaling)
    values = initial.copied()
  }

  /// A client with `rows` rows of data of its own.
  convenience init(
    client: Int, rows: Int, scaling: Double = ToyTrainer.scaling, rank: Int = 2
  ) {
    var stream = RandomStream(seed: 2).substream("data", client)
    self.init(
      inputs: Tensor.normal([rows, 4], stream: &stream),
      targets: Tensor.normal([rows, 3], mean: Double(client) * 0.3, stream: &stream),
      scaling: scaling, rank: rank)
  }

  /// One trainer with the rows of all.
  convenience init(pooling trainers: [ToyTrainer]) {
    self.init(
      inputs: concatenated(trainers.map(\.inputs)), targets: concatenated(trainers.map(\.targets)))
  }

  var sampleCount: Int { inputs.size(0) }

  var trainables: NamedTensors { values.copied() }

  func load(_ new: NamedTensors) throws {
    var expected = values.filtered { new[$0] != nil }
    for pair in Self.pairs {  // another rank, if both factors come with it
      guard let rank = new.rank(of: pair), let a = expected[pair.a], let b = expected[pair.b] else {
        continue
      }
      expected[pair.a] = .zeros([rank, a.size(1)])
      expected[pair.b] = .zeros([b.size(0), rank])
    }
    try new.requireShapes(of: expected, at: "trainer")
    values = values.merging(new.copied())
  }

  func rescale(_ scalings: [String: Double]) { self.scalings = scalings }

  func load(_ delta: BaseDelta) throws {
    try delta.sites.requireShapes(of: frozen.filtered { delta.sites[$0] != nil }, at: "trainer")
    baseDelta = delta
  }

  func train(_ work: LocalWork) async throws -> TrainingOutcome {
    let training = work.training
    var optimizer = try training.optimizer.configuration.makeOptimizer()
    let schedule = try training.makeSchedule()
    let stepsPerEpoch = (sampleCount + training.batchSize - 1) / training.batchSize
    let total = min(training.localEpochs * stepsPerEpoch, work.stepLimit ?? .max)
    let moving = values.filtered(work.selects)
    moved = moving.names
    var order: [Int] = []
    var outcome = TrainingOutcome(steps: 0, meanLoss: 0, rows: 0, tokens: 0)
    for step in 0..<total {
      if step % stepsPerEpoch == 0 {
        var stream = work.random.substream("epoch", step / stepsPerEpoch)
        order = stream.shuffled(0..<sampleCount)
      }
      let batch = order.dropFirst(step % stepsPerEpoch * training.batchSize)
        .prefix(training.batchSize)
      let leaves = moving.mapValues { $0.requiringGradient() }
      let loss = loss(rows: Array(batch), with: values.merging(leaves))
      let local = LocalStep(
        LocalPhase(
          trainables: leaves.map { ($0.name, $0.tensor) }, stepCount: total, fullStepCount: total,
          round: work.round),
        index: step, random: work.random.substream("step", step))
      let penalties = try work.hooks.compactMap { try $0.penalty(local) }
      var gradients = penalties.reduce(loss, +).gradients(by: leaves.tensors)
      if training.clipNorm > 0 { gradients = clipped(gradients, toNorm: training.clipNorm).0 }
      optimizer.step(
        moving.tensors, gradients: gradients,
        learningRate: training.learningRate * schedule.factor(step: step, of: total))
      outcome.steps += 1
      outcome.rows += batch.count
      outcome.meanLoss += loss.item / Double(total)
    }
    try Tensor.check("toy training")
    return outcome
  }

  func evaluate(_ split: DataSplit) async throws -> Metrics {
    ["loss": loss(rows: Array(0..<sampleCount), with: values).item]
  }

  /// Half the mean over rows of the squared distance to the targets.
  private func loss(rows: [Int], with values: NamedTensors) -> Tensor {
    let index = Tensor(rows, shape: [rows.count])
    let gap = output(inputs.indexSelected(0, index), values) - targets.indexSelected(0, index)
    return gap.squared.sum([1]).mean() * 0.5
  }

  /// The model's answers to this client's inputs, with the present values or without adapters.
  func answers(adapted: Bool) -> Tensor { output(inputs, adapted ? values : NamedTensors()) }

  private func output(_ x: Tensor, _ values: NamedTensors) -> Tensor {
    let hidden = tanh(layer("first", x, values))
    let output = layer("second", hidden, values)
    return values["head.bias"].map { output + $0 } ?? output
  }

  private func layer(_ name: String, _ x: Tensor, _ values: NamedTensors) -> Tensor {
    let weight = frozen[name] ?? x
    let base = linear(x, weight: baseDelta.sites[name].map { weight + $0 } ?? weight)
    guard let a = values["\(name).lora_A.weight"], let b = values["\(name).lora_B.weight"] else {
      return base
    }
    return base + linear(linear(x, weight: a), weight: b) * (scalings[name] ?? scaling)
  }
}

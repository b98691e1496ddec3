public import ApusBase
public import ApusCore
import ApusTorch

/// FedP²EFT: clients learn together to tell from a client's feature statistics which ranks of which
/// sites it should train; the adapters themselves are trained only locally.
///
/// In a round a client finds the statistics z of what goes into the frozen layers, lets the shared
/// generator φ propose importances λ, trains fresh s·B·diag(λ)·A and λ under a penalty that favours
/// few ranks, and moves φ towards the λ it found. A, B and λ are then thrown away. Wherever a client
/// is measured it keeps the `budget`·N most important ranks of its N sites by φ, and trains fresh A
/// and B with these λ fixed.
///
/// The base model is given, such as one that another method trained and `apus export` merged; its
/// head stays frozen unless `trains-head`, which then trains with the adapter. Inputs are counted
/// without padding, which does not exist here. A dropped rank is one with λ = 0: it neither acts nor
/// gets a gradient. Clipping counts A and B, not λ, as in the reference code.
///
/// - State: server, φ; clients nothing.
/// - Traffic: |φ| parameters each way, and nₖ on the way up.
/// - Source: Lee et al., arXiv 2502.04387; constants of its reference code.
public struct FedP2EFT: FederatedMethod {
  public static let card = MethodCard(
    name: "FedP²EFT", id: "fedp2eft", family: .reparameterized,
    summary: "a shared network tells each client which ranks to train",
    challenges: ["data heterogeneity"], paper: "Lee et al. 2026, AAAI, arXiv 2502.04387",
    leavesClient: "parameters of the network that proposes ranks, nₖ", visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 2
    training.batchSize = 32
    training.learningRate = 1e-4
    training.clipNorm = 1
    return training
  }

  public static var hasGlobalModel: Bool { false }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Ranks per site that a client's own model has on average, ≥ 1.
    public var budget = 2
    /// Factor on the learning rate for λ, > 0.
    public var importanceRateFactor = 100.0
    /// α_s ≥ 0, weight of the penalty on ranks that move but do not matter.
    public var significance = 100.0
    /// α_p ≥ 0, weight of the penalty on large λ.
    public var sparsity = 0.01
    /// Steps q ≥ 1 on the generator in one round.
    public var generatorSteps = 10
    /// Learning rate of the generator, > 0.
    public var generatorRate = 1e-4
    /// Whether the head trains with the adapter, as a checkpoint without a head needs.
    public var trainsHead = false
    public init() {}

    public func validate() throws(ApusError) {
      for (name, value) in [("budget", budget), ("generator-steps", generatorSteps)] {
        try require(value >= 1, name, "\(value) is below 1", remedy: "Give a number ≥ 1")
      }
      for (name, value) in [("significance", significance), ("sparsity", sparsity)] {
        let isWeight = value >= 0 && value.isFinite
        try require(isWeight, name, "\(value) is no weight", remedy: "Give a number ≥ 0")
      }
      for (name, value) in [
        ("importance-rate-factor", importanceRateFactor), ("generator-rate", generatorRate),
      ] {
        try require(
          value > 0 && value.isFinite, name, "\(value) is no rate", remedy: "Give a number > 0")
      }
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.hasDiagonal = true
    parts.own = StrategyGenerator.initial
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool { !TensorRoles.beside.contains(named: tensor) }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    AveragingServer(setting, sends: .beside, averages: { _ in .beside })  // φ ← Σ pₖφₖ
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options

    func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      var generator = StrategyGenerator(brief.tensors)  // 0. φ
      let statistics = try await statistics()  // 1. z
      try load(importance: generator(statistics))  // 2. λ, beside fresh A and B
      var work = work(round.random(of: setting.id), round, brief.stepLimit, trainsImportance: true)
      let pairs = setting.factorPairs
      let (start, rows, options) = (trainer.initial, Double(trainer.sampleCount), options)
      work.hooks = [Penalty { options.penalty($0.phase, of: pairs, from: start, rows: rows) }]
      let outcome = try await trainer.train(work)  // 3. A, B and λ on CE and the two penalties
      let found = concatenated(
        names.compactMap { trainer.trainables[$0] }  // 4. λ*
      ).clamped(low: StrategyGenerator.range.low, high: StrategyGenerator.range.high)
      try generator.fit(  // 5. φ towards λ*
        statistics, to: found, steps: options.generatorSteps, rate: options.generatorRate)
      return Message(  // 6. upload φ
        tensors: generator.parameters.copied(), sampleCount: trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      guard try await makeModel(brief, round) else { return [:] }
      return try await setting.trainer.evaluate(split)  // 4. measure
    }

    func ownAdapter(beside brief: Message, round: Round) async throws -> NamedTensors? {
      guard try await makeModel(brief, round) else { return nil }
      return setting.trainer.trainables.filtered { !TensorRoles.beside.contains(named: $0) }
    }

    /// Trains the client's own model; false without rows.
    private func makeModel(_ brief: Message, _ round: Round) async throws -> Bool {
      guard setting.trainer.sampleCount > 0 else { return false }
      let statistics = try await statistics()  // 1. λ, of which the largest stay
      try load(
        importance: kept(withoutGradient { StrategyGenerator(brief.tensors)(statistics) }))
      let random = round.random(of: setting.id).substream("measuring")
      let work = work(random, round, nil, trainsImportance: false)
      _ = try await setting.trainer.train(work)  // 3. A and B
      return true
    }

    /// Names of λ, in the order of the sites.
    private var names: [String] {
      setting.factorPairs.map { ModelExtension.diagonal(besideA: $0.a) }
    }

    /// Mean and deviation of the inputs of every frozen layer, without the adapter [2M].
    private func statistics() async throws -> Tensor {
      try setting.trainer.load(setting.trainer.initial)
      try setting.trainer.load(AdapterMixture([AdapterName.standard: .none]))
      let moments = try await setting.trainer.inputMoments(of: .train)
      let values = moments.flatMap { [Float($0.mean), Float(($0.variance + 1e-5).squareRoot())] }
      return Tensor(values, shape: [values.count])
    }

    private func load(importance: Tensor) throws {
      var values = setting.trainer.initial
      var first = 0
      for name in names {
        let count = values[name]?.count ?? 0
        values[name] = importance.sliced(0, first..<(first + count))
        first += count
      }
      try setting.trainer.load(values)
      try setting.trainer.load(AdapterMixture())
    }

    /// λ with zeros for all but the most important ranks of the model.
    private func kept(_ importance: Tensor) -> Tensor {
      let count = options.budget * names.count
      let chosen = RankSelection(scores: [importance.doubles], count: count).kept[0]
      var flags = [Float](repeating: 0, count: importance.count)
      for rank in chosen { flags[rank] = 1 }
      return importance * Tensor(flags, shape: [flags.count])
    }

    private func work(
      _ random: RandomStream, _ round: Round, _ limit: Int?, trainsImportance: Bool
    ) -> LocalWork {
      let importance = Set(names)
      let roles: TensorRoles = options.trainsHead ? .all : [.a, .b]
      var work = LocalWork(
        training: setting.training, random: random, stepLimit: limit, round: round,
        selects: { name in
          importance.contains(name) ? trainsImportance : roles.contains(named: name)
        })
      let factor = options.importanceRateFactor
      work.rules.rateFactor = { importance.contains($0) ? factor : 1 }
      work.rules.clips = { !importance.contains($0) }
      return work
    }
  }
}

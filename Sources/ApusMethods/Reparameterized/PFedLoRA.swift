public import ApusBase
public import ApusCore

/// pFedLoRA: private models of any architecture learn from one another through a small shared
/// companion, with which each takes turns in being trained.
///
/// The companion is a classifier of its own over the tokens (embeddings, their mean, two thin
/// layers) whose scores join the private model's: (1 − μ)·F(x) + μ·A(x). The private model trains
/// first, beside the companion as it came, so that what others know reaches it; then the companion,
/// beside the private model as it has become. Only the companion is sent. With `mix: features` it
/// joins what the last layer sees instead, and then learns through that layer alone.
///
/// Here F is the backbone with the experiment's adapter and a head of the client's own; the method
/// asks nothing of F but scores. The companion's embeddings are drawn from the seed and stay. A client is measured with its own companion; beside that
/// `…/shared-companion` is with the new shared one and `…/model-alone` without any. How the two
/// are combined is the project's reading of the paper (its card, "inferred"), as are the rank, μ and
/// rates. A bound on a client's steps bounds each of the two phases.
///
/// - State: server, θ; each client, the private adapter and head, and a copy of its θ.
/// - Traffic: |θ| parameters each way whatever the clients' models are, and nₖ on the way up.
/// - Source: Yi et al., arXiv 2310.13283; epochs, mixing weight and clipping of the first author's
///   code of pFedES and pFedAFM.
public struct PFedLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "pFedLoRA", id: "pfedlora", family: .reparameterized,
    summary: "a small shared companion takes turns with each client's private model",
    challenges: ["data heterogeneity", "model heterogeneity"],
    paper: "Yi et al. 2024, arXiv 2310.13283", leavesClient: "the companion's parameters, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 10
    training.batchSize = 32
    training.learningRate = 2e-4
    training.clipNorm = 50
    return training
  }

  public static var hasGlobalModel: Bool { false }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// How the two models become one.
    public enum Mix: String, Codable, Sendable, CaseIterable {
      /// (1 − μ)·F + μ·A on scores.
      case scores
      /// F + A on scores.
      case sum
      /// (1 − μ)·R_F + μ·R_A on what the last layer sees.
      case features
    }

    /// How the two models become one.
    public var mix = Mix.scores
    /// Weight μ of the companion, 0…1; of no effect on a sum.
    public var mixingWeight = 0.5
    /// The companion's inner dimension r ≥ 1.
    public var rank = 50
    /// Length of the companion's embeddings, ≥ 1.
    public var width = 64
    /// Factor on the learning rate for the companion, > 0.
    public var companionRateFactor = 5.0
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        (0...1).contains(mixingWeight), "mixing-weight", "\(mixingWeight) is no weight",
        remedy: "Give a number between 0 and 1")
      for (name, value) in [("rank", rank), ("width", width)] {
        try require(
          (1...65_536).contains(value), name, "\(value) is no length",
          remedy: "Give a number ≥ 1")
      }
      try require(
        companionRateFactor > 0 && companionRateFactor.isFinite, "companion-rate-factor",
        "\(companionRateFactor) is no factor", remedy: "Give a number > 0, such as 5")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.companion = .init(
      output: options.mix == .features ? .features : .scores, width: options.width,
      rank: options.rank)
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool { TensorRoles.all.contains(named: tensor) }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    AveragingServer(setting, sends: .beside, averages: { _ in .beside })  // θ ← Σ pₖθₖ
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var own: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      own = PersonalTensors(startingAt: setting.trainer.initial)
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try trainer.load(own.values.merging(brief.tensors))  // 1. θₖ ← θ beside ωₖ
      try trainer.load(mixture)
      var work = LocalWork(  // 2. ωₖ on the mixture, θₖ frozen
        of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:))
      let outcome = try await trainer.train(work)
      try trainer.load(options.mix == .features ? companionAlone : mixture)
      work.random = work.random.substream("companion")  // 3. θₖ, the new ωₖ frozen
      work.training.learningRate *= options.companionRateFactor
      work.selects = TensorRoles.beside.contains(named:)
      _ = try await trainer.train(work)
      own.keep(trainer.trainables)  // 4. keep ωₖ and a copy of θₖ, upload θₖ
      return Message(
        tensors: trainer.trainables.filtered(.beside), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      let trainer = setting.trainer
      try trainer.load(own.snapshot.isEmpty ? own.values.merging(brief.tensors) : own.values)
      try trainer.load(mixture)
      var metrics = try await trainer.evaluate(split)
      try trainer.load(AdapterMixture(companion: CompanionWeight(model: 1, companion: 0)))
      for (name, value) in try await trainer.evaluate(split) {
        metrics["\(name)/model-alone"] = value
      }
      try trainer.load(brief.tensors)
      try trainer.load(mixture)
      for (name, value) in try await trainer.evaluate(split) {
        metrics["\(name)/shared-companion"] = value
      }
      return metrics
    }

    private var mixture: AdapterMixture {
      AdapterMixture(
        companion: options.mix == .sum
          ? CompanionWeight(model: 1, companion: 1) : .mixed(options.mixingWeight))
    }

    private var companionAlone: AdapterMixture {
      AdapterMixture(companion: CompanionWeight(model: 0, companion: 1))
    }

    var snapshot: Snapshot { own.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try own.restore(snapshot) }
  }
}

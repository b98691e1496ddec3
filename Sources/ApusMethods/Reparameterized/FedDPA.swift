public import ApusBase
public import ApusCore
import ApusTorch

/// FedDPA: a federated global adapter and a private local one per client, mixed for each input by
/// its likeness to what the client trained on.
///
/// In the `training` schedule (FedDPA-T) every round but the first trains the local adapter beside
/// the received global one, which is frozen and cut off from the graph, and then the global one
/// alone from where it was received. The local phase has a random stream of its own and never
/// feeds back, so the global adapter goes the way of FedIT, bit for bit. In the `finetuning`
/// schedule (FedDPA-F) rounds are those of FedIT; whenever a client is measured, its local adapter
/// is the global one, trained alone for `local-epochs`.
///
/// For a row x the local adapter weighs α(x) = λ·max(0, mean cosine of h(x) and h(xᵢ)) and the global
/// one 1 − α(x), with S of the client's own training rows drawn for each x, and h what the last
/// layer sees under the local adapter alone. The head belongs to the global adapter. A client that
/// has no local adapter yet uses the global one. A bound on a client's steps bounds each phase.
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and the head; each client, its local A and B.
/// - Traffic: Σ r(d_in + d_out) parameters and the head each way, and nₖ on the way up; local
///   adapters are never sent.
/// - Source: Yang et al., arXiv 2403.19211; settings of its reference code. Which adapter α is the
///   weight of, and the fine-tuning's epochs, as in the project's card; the released script
///   weighs the global one with α (`weight-target: global`).
public struct FedDPA: FederatedMethod {
  public static let card = MethodCard(
    name: "FedDPA", id: "feddpa", family: .reparameterized,
    summary: "a global and a private adapter, mixed for each input by its likeness to own data",
    challenges: ["data heterogeneity"], paper: "Yang et al. 2024, NeurIPS, arXiv 2403.19211",
    leavesClient: "A and B of the global adapter, the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining { FedIT.localTraining }

  public static var hasPersonalModels: Bool { true }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// When local adapters are trained.
    public enum Schedule: String, Codable, Sendable, CaseIterable {
      /// In every round but the first (FedDPA-T).
      case training
      /// From the global adapter, after the rounds (FedDPA-F).
      case finetuning
    }

    /// Which adapter has the weight α; the other one has 1 − α.
    public enum WeightTarget: String, Codable, Sendable, CaseIterable {
      case local
      case global
    }

    /// FedDPA-T or FedDPA-F.
    public var schedule = Schedule.training
    /// Weight a of the local adapter while it trains, 0…1; the global one has 1 − a.
    public var localShare = 0.5
    /// Largest weight λ, 0…1.
    public var largestWeight = 0.5
    /// Training rows S ≥ 1 that each row is compared with.
    public var comparedRows = 5
    /// Which adapter α is the weight of.
    public var weightTarget = WeightTarget.local
    public init() {}

    public func validate() throws(ApusError) {
      for (name, value) in [("local-share", localShare), ("largest-weight", largestWeight)] {
        try require(
          (0...1).contains(value), name, "\(value) is no weight",
          remedy: "Give a number between 0 and 1")
      }
      try require(
        comparedRows >= 1, "compared-rows", "\(comparedRows) is below 1",
        remedy: "Give a number ≥ 1")
    }
  }

  private let options: Options
  private static let local = "local"

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.adapters = [.init(Self.local)]
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool { AdapterName.of(tensor) == Self.local }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    AveragingServer(setting, sends: .all, averages: { _ in .all })  // Ā, B̄ and the head
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var personal: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      personal = PersonalTensors(
        startingAt: setting.trainer.initial.ofAdapter(FedDPA.local))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      if options.schedule == .training, round.index > 0 {
        try load(brief)  // 1. θ_g
        try trainer.load(
          AdapterMixture([  // 2. y = W₀x + s·(a·BₗAₗx + (1 − a)·B_gA_gx), θ_g frozen and detached
            FedDPA.local: .init(.constant(options.localShare)),
            AdapterName.standard: .init(.constant(1 - options.localShare), isDetached: true),
          ]))
        try await trainLocal(
          round.random(of: setting.id).substream("local"), round, brief.stepLimit)
        personal.keep(trainer.trainables)  // 4. store
      }
      try load(brief)  // 3. θ_g again, alone
      try trainer.load(alone(AdapterName.standard))
      let outcome = try await trainer.train(
        LocalWork(of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:)))
      return Message(  // 4. upload
        tensors: trainer.trainables.filtered(.all), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.load(
        setting.trainer.initial.merging(personal.values).merging(brief.tensors))
    }

    private func trainLocal(_ random: RandomStream, _ round: Round, _ limit: Int?) async throws {
      _ = try await setting.trainer.train(
        LocalWork(
          training: setting.training, random: random, stepLimit: limit, round: round,
          selects: { AdapterName.of($0) == FedDPA.local }))
    }

    private func alone(_ name: String) -> AdapterMixture {
      .only(name, of: [AdapterName.standard, FedDPA.local])
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      let trainer = setting.trainer
      let random = round.random(of: setting.id).substream("measuring")
      try load(brief)
      if options.schedule == .finetuning, trainer.sampleCount > 0 {
        try trainer.load(brief.tensors.renamed(toAdapter: FedDPA.local))  // θₗ ← θ_g
        try trainer.load(alone(FedDPA.local))
        try await trainLocal(random.substream("local"), round, nil)
      } else if personal.snapshot.isEmpty {
        try trainer.load(alone(AdapterName.standard))
        return try await trainer.evaluate(split)
      }
      try trainer.load(alone(FedDPA.local))
      let weights = InstanceWeights(
        of: try await trainer.features(of: split),
        comparedWith: try await trainer.features(of: .train), rows: options.comparedRows,
        largest: options.largestWeight, random: random)
      let (alpha, rest) = (weights.values, weights.values.map { 1 - $0 })
      let isLocal = options.weightTarget == .local
      let shares = [
        FedDPA.local: isLocal ? alpha : rest, AdapterName.standard: isLocal ? rest : alpha,
      ]
      try trainer.load(
        AdapterMixture(
          shares.mapValues { .init(.perExample(Tensor($0.map(Float.init), shape: [$0.count]))) }))
      var metrics = try await trainer.evaluate(split)
      guard !metrics.isEmpty else { return [:] }
      metrics["mean_weight"] = alpha.reduce(0, +) / Double(max(1, alpha.count))
      return metrics
    }

    var snapshot: Snapshot { personal.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try personal.restore(snapshot) }
  }
}

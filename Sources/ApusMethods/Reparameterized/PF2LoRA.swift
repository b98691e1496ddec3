public import ApusBase
public import ApusCore
import ApusTorch

/// PF2LoRA: a common adapter of rank r for all and a lighter private one of rank r̃ for each client,
/// trained as the two levels of one problem, so that each client's rank follows its data.
///
/// y = W₀x + s·BAx + s·DₖCₖx. Every local step moves the private adapter by plain gradient descent,
/// y⁺ = y − α·∇_y f(x, y; π), and the common one by the gradient of f(x, y⁺(x); ξ), which knows how
/// the private one answers. rank(BA + DₖCₖ) lies anywhere in r − r̃ … r + r̃; nothing prunes it, and
/// its mean over the sites is reported with each client as `rank`.
///
/// The paper counts I = 10 local steps; here a round is `local-epochs` passes, as in every method.
/// The moments of the common adapter's optimizer stay on the client between rounds unless
/// `keeps-moments` is off. The head is of the upper level. Rates, scaling of the private adapter and
/// the one-step hypergradient are the project's reading (its card, "inferred").
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and the head; each client, Cₖ [r̃, d_in],
///   Dₖ [d_out, r̃] and its optimizer's moments.
/// - Traffic: Σ r(d_in + d_out) parameters and the head each way, and nₖ on the way up; C and D are
///   never sent.
/// - Source: Hao et al., arXiv 2503.03920, Algorithm 1; uniform weights as in its objective.
public struct PF2LoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "PF2LoRA", id: "pf2lora", family: .reparameterized,
    summary: "a common and a lighter private adapter, trained as two levels of one problem",
    challenges: ["data heterogeneity"], paper: "Hao et al. 2025, arXiv 2503.03920",
    leavesClient: "A and B of the common adapter, the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 16
    training.learningRate = 1e-3
    return training
  }

  public static var aggregation: Aggregation {
    var aggregation = Aggregation()
    aggregation.weighting = .uniform
    return aggregation
  }

  public static var hasPersonalModels: Bool { true }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Rank r̃ ≥ 1 of the private adapter.
    public var privateRank = 2
    /// Learning rate α ≥ 0 of the lower level; 0 leaves the private adapter out.
    public var privateRate = 1e-2
    /// How the second-order term of the hypergradient is found.
    public var hypergradient = HypergradientRule.doubleBackward
    /// Whether both levels see one batch, rather than each its own.
    public var sharesBatch = false
    /// Whether the optimizer of the common adapter goes on where the client's last round ended.
    public var keepsMoments = true
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        (1...65_536).contains(privateRank), "private-rank", "\(privateRank) is no rank",
        remedy: "Give a number ≥ 1, a quarter of the rank")
      try require(
        privateRate >= 0 && privateRate.isFinite, "private-rate", "\(privateRate) is no rate",
        remedy: "Give a number ≥ 0, such as 0.01")
    }
  }

  private let options: Options
  private static let personal = "personal"

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.adapters = [.init(Self.personal, rank: options.privateRank)]
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool { AdapterName.of(tensor) == Self.personal }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    AveragingServer(setting, sends: .all, averages: { _ in .all })  // x̄ ← Σ wₖxₖ
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var own: PersonalTensors
    var moments = NamedTensors()

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      own = PersonalTensors(
        startingAt: setting.trainer.initial.ofAdapter(PF2LoRA.personal))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try load(brief)  // xₖ ← x̄ beside the client's own yₖ
      var work = LocalWork(
        of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:))
      work.rules.lowerLevel = .init(  // 1. y⁺; 2. hypergradient; 3. AdamW on x; 4. y ← y⁺
        step: BilevelStep(rate: options.privateRate, rule: options.hypergradient),
        selects: { AdapterName.of($0) == PF2LoRA.personal }, sharesBatch: options.sharesBatch)
      work.rules.optimizerState = moments
      let outcome = try await trainer.train(work)
      own.keep(trainer.trainables)
      if options.keepsMoments { moments = trainer.optimizerState }
      return Message(  // upload xₖ
        tensors: trainer.trainables.filtered(.all), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      var metrics = try await setting.trainer.evaluate(split)
      if !metrics.isEmpty { metrics["rank"] = meanRank }
      return metrics
    }

    private func load(_ brief: Message) throws {
      let trainer = setting.trainer
      try trainer.load(trainer.initial.merging(own.values).merging(brief.tensors))
      try trainer.load(AdapterMixture())
    }

    /// Mean over the sites of the number of singular values of BA + DC above a thousandth of the
    /// largest.
    private var meanRank: Double {
      let values = setting.trainer.trainables
      let ranks = setting.factorPairs.map { pair in
        var sum = FactoredSum()
        for part in [pair, pair.inAdapter(PF2LoRA.personal)] {
          if let a = values[part.a], let b = values[part.b] { sum.add(b: b, a: a, weight: 1) }
        }
        return sum.numericalRank(relativeTo: 1e-3)
      }
      return Double(ranks.reduce(0, +)) / Double(max(1, ranks.count))
    }

    /// Both adapters as one of rank r + r̃: [B D]·[A; C].
    func ownAdapter(beside brief: Message, round: Round) -> NamedTensors? {
      var joined = brief.tensors
      for pair in setting.factorPairs {
        let further = pair.inAdapter(PF2LoRA.personal)
        guard let a = joined[pair.a], let b = joined[pair.b], let c = own.values[further.a],
          let d = own.values[further.b]
        else { return nil }
        (joined[pair.a], joined[pair.b]) = (concatenated([a, c]), concatenated([b, d], dim: 1))
      }
      return joined
    }

    var snapshot: Snapshot {
      let kept = own.snapshot.tensors
      return kept.isEmpty
        ? Snapshot() : Snapshot(groups: ["private": kept, "moments": moments])
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      var restored = own
      try restored.restore(Snapshot(tensors: snapshot.group("private")))
      guard snapshot.isEmpty || !restored.snapshot.isEmpty else {
        throw ApusError(
          .runState, at: "client state", "it holds no private adapter",
          remedy: "Resume the run with the method that started it")
      }
      (own, moments) = (restored, snapshot.group("moments"))
    }
  }
}

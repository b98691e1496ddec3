public import ApusBase
public import ApusCore
import ApusTorch

/// FedOA: a private adapter per client whose features are held close to those of the federated one,
/// so that it keeps what holds for data that no client has.
///
/// Every round but the first trains the personal adapter with L = CE + λ·‖H_p − H_g‖, where H are
/// the features of a batch under the personal and under the received global adapter; then the
/// global adapter alone, as in FedIT. Only one adapter acts in any forward pass. Both phases have
/// random streams of their own, so the global adapter goes the way of FedIT whatever λ is.
///
/// The distance is the norm over the whole batch, not squared and not divided by its rows, as in the
/// released code; other distances can be chosen. The features of the global adapter carry no
/// gradient and, unlike there, no dropout unless `drops-reference` asks for it. The personal adapter
/// has a head of its own. A client without a personal model yet uses the global one. A bound on a
/// client's steps bounds each phase.
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and the head; each client, its personal A,
///   B and head, which persist through rounds in which it is not drawn.
/// - Traffic: Σ r(d_in + d_out) parameters and the head each way, and nₖ on the way up; personal
///   adapters are never sent.
/// - Source: Yang et al., arXiv 2505.01075; loss and settings of its reference code.
public struct FedOA: FederatedMethod {
  public static let card = MethodCard(
    name: "FedOA", id: "fedoa", family: .reparameterized,
    summary: "private adapters, held near the features of the federated one",
    challenges: ["data heterogeneity", "out-of-distribution generalisation"],
    paper: "Yang et al. 2025, arXiv 2505.01075",
    leavesClient: "A and B of the global adapter, the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining { FedIT.localTraining }

  public static var hasPersonalModels: Bool { true }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// How far the features of a batch [b, D] are apart.
    public enum Distance: String, Codable, Sendable, CaseIterable {
      /// Norm of the whole difference.
      case frobenius
      /// Mean over rows of the difference's norm.
      case meanL2 = "mean-l2"
      /// Mean over rows of the difference's squared norm.
      case meanSquaredL2 = "mean-squared-l2"
      /// Mean over rows of 1 − cosine.
      case cosine
    }

    /// λ ≥ 0; 0 leaves the personal adapters to themselves.
    public var weight = 0.5
    /// Which distance.
    public var distance = Distance.frobenius
    /// Whether the global adapter's features are found with dropout.
    public var dropsReference = false
    /// Whether a personal adapter begins as a copy of the global one rather than afresh.
    public var startsFromGlobal = false
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        weight >= 0 && weight.isFinite, "weight", "\(weight) is no weight",
        remedy: "Give a number ≥ 0, such as 0.5")
    }
  }

  private let options: Options
  private static let personal = "personal"

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.adapters = [.init(Self.personal)]
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool { AdapterName.of(tensor) == Self.personal }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    AveragingServer(setting, sends: .all, averages: { _ in .all })  // Ā, B̄ and the head
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var own: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      own = PersonalTensors(
        startingAt: setting.trainer.initial.filtered {
          AdapterName.of($0) == FedOA.personal || TensorRoles(of: $0) == .head
        })
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      if round.index > 0 {  // 2. θ_p on CE + λD, beside θ_g as it came
        try trainer.load(brief.tensors.merging(start(beside: brief)))
        try trainer.load(alone(FedOA.personal))
        let moving = own.values
        var work = LocalWork(of: setting, in: round, on: brief, selects: { moving[$0] != nil })
        work.random = work.random.substream("personal")
        if options.weight > 0 { work.hooks = [Penalty(alignment)] }
        _ = try await trainer.train(work)
        own.keep(trainer.trainables)  // 4. keep θ_p
      }
      try trainer.load(brief.tensors)  // 3. θ_g again, alone, on CE
      try trainer.load(alone(AdapterName.standard))
      let outcome = try await trainer.train(
        LocalWork(of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:)))
      return Message(  // 4. upload θ_g
        tensors: trainer.trainables.filtered(.all), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    /// What the personal phase begins with.
    private func start(beside brief: Message) -> NamedTensors {
      guard own.snapshot.isEmpty, options.startsFromGlobal else { return own.values }
      return brief.tensors.filtered(.head)
        .merging(brief.tensors.renamed(toAdapter: FedOA.personal))
    }

    /// λ·D between the features of this step and those under θ_g.
    private func alignment(_ step: LocalStep) throws -> Tensor? {
      guard let view = step.view else {
        throw ApusError(
          .unsupported, at: "FedOA", "the task shows no features of its rows to align",
          remedy: "Choose sequence-classification or causal-lm, or set weight to 0")
      }
      let reference = try view.features(
        under: alone(AdapterName.standard), dropping: options.dropsReference)
      return options.distance.between(view.features, reference) * options.weight
    }

    private func alone(_ name: String) -> AdapterMixture {
      .only(name, of: [AdapterName.standard, FedOA.personal])
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      let isPersonal = !own.snapshot.isEmpty
      try setting.trainer.load(isPersonal ? brief.tensors.merging(own.values) : brief.tensors)
      try setting.trainer.load(alone(isPersonal ? FedOA.personal : AdapterName.standard))
      return try await setting.trainer.evaluate(split)
    }

    func ownAdapter(beside brief: Message, round: Round) -> NamedTensors? {
      guard !own.snapshot.isEmpty else { return brief.tensors }
      return own.values.filtered(.head)
        .merging(own.values.renamed(fromAdapter: FedOA.personal))
    }

    var snapshot: Snapshot { own.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try own.restore(snapshot) }
  }
}

extension FedOA.Options.Distance {
  /// The distance of two batches of features [b, D]; its gradient is 0 where they are equal.
  func between(_ found: Tensor, _ reference: Tensor) -> Tensor {
    let gap = found - reference
    switch self {
    case .frobenius: return gap.norm()
    case .meanL2: return gap.norm([1]).mean()
    case .meanSquaredL2: return gap.squared.sum([1]).mean()
    case .cosine:
      let lengths = found.norm([1]) * reference.norm([1])
      return ((found * reference).sum([1]) / lengths.clamped(low: 1e-12)).mean() * -1 + 1
    }
  }
}

public import ApusBase
public import ApusCore
import ApusTorch

/// LoRA-A²: B and A train in alternate rounds, and each client moves and sends only its most
/// important ranks, chosen over the whole model.
///
/// The mean of one factor's changes beside the other one, which all share, is exact. Before it
/// trains, a client tries one epoch with all ranks and scores rank i of module m by
/// ‖ΔB[:, i]‖·‖A[i, :]‖ (or ‖B[:, i]‖·‖ΔA[i, :]‖), the norm of what it changes of the weight. The
/// trial is thrown away; it has a random stream of its own. A rank that nobody chose keeps every
/// bit, and a change counts as zero where a client did not choose it.
///
/// A budget counts ranks: with b, a client moves b ranks per site on average, of the r that the
/// adapter has. A bound on a client's steps bounds the trial and the training each.
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and a trained head; each client, its
///   last copy of them.
/// - Traffic: up, d_out or d_in parameters and one number for each of the b·N chosen ranks (N sites);
///   down, the factor that changed, or both after a pause.
/// - Source: Koo et al., arXiv 2410.22815, Algorithm 1 (B first); restarting after the trial, the
///   batch size and weights over the participants as in the project's card.
public struct LoRAA2: FederatedMethod {
  public static let card = MethodCard(
    name: "LoRA-A²", id: "lora-a2", family: .reparameterized,
    summary: "B and A take turns, and each client sends its most important ranks only",
    challenges: ["computational heterogeneity", "server-side aggregation bias"],
    paper: "Koo et al. 2025, ACL, arXiv 2410.22815",
    leavesClient: "the changes of some ranks of B or A, which ranks, the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 5
    training.batchSize = 32
    training.learningRate = 5e-4
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Ranks per site that a client may send on average; with several, clients take them in turn.
    public var budgets = [2]
    /// Factor on the learning rate in rounds that train B, > 0.
    public var bRateFactor = 5.0
    /// Whether the head trains and is averaged in every round; the paper freezes it.
    public var trainsHead = false
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        !budgets.isEmpty && budgets.allSatisfy { $0 >= 1 }, "budgets",
        "\(budgets) are no budgets", remedy: "Give one number ≥ 1, or several")
      try require(
        bRateFactor > 0 && bRateFactor.isFinite, "b-rate-factor", "\(bRateFactor) is no factor",
        remedy: "Give a number > 0, such as 5")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(setting, options: options)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var received: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      received = PersonalTensors(startingAt: setting.trainer.initial.filtered(options.shared))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      let active = TensorRoles.alternating(in: round)
      let start = received.values.merging(brief.tensors)
      received.keep(start)
      let ranks = ChosenRanks(active, of: setting.factorPairs, in: start)

      try load(start)  // 1. A, B
      var work = LocalWork(of: setting, in: round, on: brief, selects: active.contains(named:))
      if active == .b { work.training.learningRate *= options.bRateFactor }
      var trial = work  // 2. one epoch with all ranks, on a stream of its own
      (trial.random, trial.training.localEpochs) = (work.random.substream("trial"), 1)
      _ = try await trainer.train(trial)
      let selection = RankSelection(  // the best of all ranks of the model
        scores: setting.factorPairs.map { score($0, from: start, to: trainer.trainables) },
        count: min(options.budget(of: setting.id) * setting.factorPairs.count, ranks.total))

      try load(start)  // the trial is forgotten
      work.selects = options.trained(in: round).contains(named:)
      work.hooks = [FixedMasks(ranks.mask(selection))]  // 3. every change times the mask
      let outcome = try await trainer.train(work)

      var sent = changes(from: start, to: trainer.trainables.filtered(active))  // 5. ΔB of R, R
      sent = ranks.packed(sent, selection)
      if options.trainsHead { sent = sent.merging(trainer.trainables.filtered(.head)) }
      return Message(tensors: sent, sampleCount: trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(received.values.merging(brief.tensors))
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ shared: NamedTensors) throws {
      try setting.trainer.load(setting.trainer.initial.merging(shared))
    }

    /// ‖ΔB[:, i]‖·‖A[i, :]‖ + ‖B[:, i]‖·‖ΔA[i, :]‖ of each rank; one of the two changes is zero.
    private func score(
      _ pair: FactorPair, from start: NamedTensors, to end: NamedTensors
    ) -> [Double] {
      guard let a = start[pair.a]?.to(.float64), let b = start[pair.b]?.to(.float64),
        let endA = end[pair.a]?.to(.float64), let endB = end[pair.b]?.to(.float64)
      else { return [] }
      let ofB = (endB - b).norm([0]) * a.norm([1])
      return (ofB + b.norm([0]) * (endA - a).norm([1])).doubles
    }

    private func changes(from start: NamedTensors, to end: NamedTensors) -> NamedTensors {
      var changes = end
      for (name, value) in end { if let former = start[name] { changes[name] = value - former } }
      return changes
    }

    var snapshot: Snapshot { received.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try received.restore(snapshot) }
  }

  private struct Server: ServerHalf {
    let pairs: [FactorPair]
    let options: Options
    var means: AveragingServer

    init(_ setting: ServerSetting, options: Options) {
      pairs = setting.factorPairs
      self.options = options
      means = AveragingServer(
        setting, sends: options.shared, skipsKnown: true,
        averages: { options.trained(in: $0) })
    }

    var global: NamedTensors { means.global }

    func brief(for client: ClientID, round: Round) -> Message {
      means.brief(for: client, round: round)  // 3. what has changed for this client
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      let active = TensorRoles.alternating(in: round)
      let ranks = ChosenRanks(active, of: pairs, in: global)
      var whole = update
      let head = update.tensors.filtered { global[$0] != nil && TensorRoles(of: $0) == .head }
      let changes = try ranks.unpacked(
        update.tensors.filtered { head[$0] == nil }, like: global.filtered(active),
        count: min(options.budget(of: client) * pairs.count, ranks.total), at: "update")
      whole.tensors = head
      for (name, change) in changes {
        if let value = global[name] { whole.tensors[name] = value + change }
      }
      // 2. B ← B + Σ wₖΔBₖ, as the mean of B + ΔBₖ: absent ranks count as no change
      try means.absorb(whole, from: client, weight: weight, round: round)
    }

    mutating func finish(round: Round) -> Metrics { means.finish(round: round) }

    var snapshot: Snapshot { means.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try means.restore(snapshot) }
  }
}

extension LoRAA2.Options {
  /// What all sides have in common.
  fileprivate var shared: TensorRoles { trainsHead ? .all : [.a, .b] }

  /// What trains, is sent up and is averaged in this round.
  fileprivate func trained(in round: Round) -> TensorRoles {
    TensorRoles.alternating(in: round).union(trainsHead ? .head : [])
  }

  /// rₖ of one client.
  fileprivate func budget(of client: ClientID) -> Int { budgets[client.index % budgets.count] }
}

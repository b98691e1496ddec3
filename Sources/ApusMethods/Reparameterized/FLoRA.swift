import ApusBase
public import ApusCore
import ApusTorch

/// FLoRA: the server stacks the clients' factors instead of averaging them, and merges the stack.
///
/// Aₛ = [p₁A₁; …; p_KA_K] under Bₛ = [B₁, …, B_K] has the product Σ pₖBₖAₖ exactly, for clients of
/// any ranks. All sides add s·BₛAₛ to the frozen weight, kept as a base delta in float32 beside the
/// published weights, and every client starts the next round with a fresh adapter; what is learned
/// lives in W alone. s is part of the stack's weights, and the same for all ranks, as in the paper
/// alpha grows with the rank. A head, if it trains, is averaged; the server optimizer acts on it
/// only.
///
/// The stack shows every client's factors to all clients.
///
/// - State: server, the base delta [d_out, d_in] per site, its latest stacks, and the head; each
///   client, its own copy of the base delta.
/// - Traffic: up, rₖ(d_in + d_out) per site and the head; down, R(d_in + d_out) per site with
///   R = Σ rₖ over the cohort, or d_in·d_out if that is less. A client that missed rounds gets the
///   stacks that it missed, or their sum where that is smaller.
/// - Source: Wang et al., NeurIPS 2024, arXiv 2409.05976; local training as in the commands of its
///   code. The dense form and catching up are as in the project's card.
public struct FLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FLoRA", id: "flora", family: .reparameterized,
    summary: "stacks the clients' LoRA factors and merges the stack into the frozen weights",
    challenges: ["server-side aggregation bias", "computational heterogeneity"],
    paper: "Wang et al., NeurIPS 2024, arXiv 2409.05976",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = FedIT.localTraining
    training.localEpochs = 1
    training.batchSize = 128
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// The ranks of the clients; one scaling holds for all.
    public var ranks = ClientRanks()
    public init() {}
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf { Client(setting: setting) }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(setting, ranks: options.ranks)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    var base = BaseDeltaCopy()

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let random = round.random(of: setting.id)
      try open(brief)  // 1. W ← W + s·BₛAₛ
      try setting.trainer.load(  // 2. new Aₖ, Bₖ
        freshFactors(random.substream("lora_A"), rank: brief.fields[FLoRA.rankKey]?.int))
      let outcome = try await setting.trainer.train(  // 3. E epochs on Dₖ, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      var update = Message(  // 4. upload
        tensors: setting.trainer.trainables, sampleCount: setting.trainer.sampleCount,
        outcome: outcome)
      base.stamp(&update)
      return update
    }

    /// The model in use is W and the head: B is zero at the start.
    mutating func evaluate(
      on brief: Message, split: DataSplit, round: Round
    ) async throws -> Metrics {
      try open(brief)
      return try await setting.trainer.evaluate(split)
    }

    private mutating func open(_ brief: Message) throws {
      try base.update(from: brief)
      try setting.trainer.load(base.delta)
      try setting.trainer.load(setting.trainer.initial)
      try setting.trainer.load(brief.tensors.withoutBaseDelta)
    }

    /// A uniform in ±1/√d_in and B zero, of a rank that the site can hold; nil for that of the model.
    private func freshFactors(_ random: RandomStream, rank: Int?) -> NamedTensors {
      var fresh: [String: Tensor] = [:]
      for pair in setting.factorPairs {
        guard let a = setting.trainer.initial[pair.a], let b = setting.trainer.initial[pair.b]
        else { continue }
        var stream = random.substream(pair.site)
        let bound = 1 / Double(a.size(1)).squareRoot()
        let own = min(max(1, rank ?? a.size(0)), a.size(1), b.size(0))
        fresh[pair.a] = Tensor.uniform(
          [own, a.size(1)], low: -bound, high: bound, stream: &stream)
        fresh[pair.b] = Tensor.zeros([b.size(0), own])
      }
      return NamedTensors(fresh)
    }

    var snapshot: Snapshot { base.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try base.restore(snapshot) }
  }

  private static let rankKey = "rank"

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let ranks: ClientRanks
    let pairs: [FactorPair]
    let fresh: NamedTensors  // factors as every client starts with them, B zero
    var head: NamedTensors
    var base = BaseDeltaLog()
    var optimizer: ServerOptimizer
    var mean: WeightedMean
    var stacks: [FactoredSum]
    var totalWeight = 0.0
    var sizes: ClientSizes

    init(_ setting: ServerSetting, ranks: ClientRanks) {
      (self.setting, self.ranks) = (setting, ranks)
      pairs = setting.factorPairs
      fresh = setting.initial.factors(of: pairs)
      head = setting.initial.withoutFactors(of: pairs)
      optimizer = ServerOptimizer(setting.aggregation.server)
      mean = WeightedMean(like: head)
      stacks = pairs.map { _ in FactoredSum() }
      sizes = ClientSizes(pairs)
    }

    var global: NamedTensors { fresh.merging(head).merging(base.delta.named) }

    func brief(for client: ClientID, round: Round) -> Message {
      var brief = Message(tensors: head)
      base.complete(&brief, for: client)
      if ranks.rule != .equal {
        brief.fields[FLoRA.rankKey] = .int(
          ranks.rank(
            of: client, adapterRank: FreshFactors(setting).adapterRank,
            device: setting.device(client), random: setting.random))
      }
      return brief
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      try update.tensors.requireFactors(of: fresh.merging(head), pairs, at: "update")
      var confirmed = base
      try confirmed.confirm(update, from: client)
      let head = update.tensors.withoutFactors(of: pairs)
      try mean.absorb(head, weight: weight, at: "update")
      base = confirmed
      for (index, pair) in pairs.enumerated() {
        guard let a = update.tensors[pair.a], let b = update.tensors[pair.b] else { continue }
        stacks[index].add(b: b, a: a, weight: weight * pair.scaling)  // 2. wₖs·Aₖ under Bₖ
      }
      totalWeight += weight
      sizes.note(update.tensors, from: client)
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer {
        (stacks, totalWeight) = (pairs.map { _ in FactoredSum() }, 0)
        sizes = ClientSizes(pairs)
      }
      guard let average = mean.finish() else { return [:] }
      var change = BaseChange()
      for (pair, stack) in zip(pairs, stacks) {  // 1. pₖ = wₖ / Σ wⱼ
        guard let (u, v) = stack.scaled(round.stepScale / totalWeight).factors else { continue }
        change.add(pair.site, u: u, v: v)
      }
      try base.append(change)  // 3. W ← W + s·BₛAₛ, and the next briefs bring the stack
      head = optimizer.step(head, towards: average, scale: round.stepScale)
      return sizes.metrics
    }

    var snapshot: Snapshot {
      let groups = ["global": head, "server": optimizer.state]
      return Snapshot(groups: groups.merging(base.groups) { $1 }, fields: base.fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let stored = try snapshot.group("global", like: head)
      base = try BaseDeltaLog(snapshot)
      head = stored
      optimizer.restore(snapshot.group("server"))
    }
  }
}

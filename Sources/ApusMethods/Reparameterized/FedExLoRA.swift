public import ApusBase
public import ApusCore
import ApusTorch

/// FedEx-LoRA: averages A and B as FedIT does, and adds what that misses to the frozen weight.
///
/// The mean of the products is not the product of the means; the gap R = Σ pₖ(Bₖ − B̄)(Aₖ − Ā) has
/// rank (K − 1)·r at most. Added to the base as W ← W + s·R it makes the aggregation exact:
/// W + s·B̄Ā is then the former W + s·Σ pₖBₖAₖ, while A and B stay warm. W lives as a base delta in
/// float32 beside the published weights. Another server optimizer than FedAvg moves A, B and the
/// head its own way; the residual stays that of the clients' means.
///
/// An R below 2⁻²²·‖B̄‖·‖Ā‖ is dropped: averages rounded to float32 make one.
///
/// - State: server, Ā [r, d_in], B̄ [d_out, r], the head, the base delta [d_out, d_in] per site and
///   its latest changes; each client, its own copy of the base delta.
/// - Traffic: up, Σ r(d_in + d_out) and the head; down, as much and ρ(d_in + d_out) per site for R of
///   rank ρ, or d_in·d_out if that is less. A client that missed rounds gets what it missed, or the
///   sum of all changes where that is smaller.
/// - Source: Singhal et al., arXiv 2410.09432; factored residual and catching up as in the project's
///   card. The published code adds the residual transposed; this follows the paper.
public struct FedExLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FedEx-LoRA", id: "fedex-lora", family: .reparameterized,
    summary: "FedIT, and the residual of averaging goes into the frozen weights",
    challenges: ["server-side aggregation bias"],
    paper: "Singhal et al., ACL 2025, arXiv 2410.09432",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 3
    training.batchSize = 128
    training.learningRate = 1e-3
    training.optimizer.weightDecay = 0.01
    training.schedule = .linear
    training.warmupShare = 0.06
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Highest rank of the residual that is sent, its best approximation; exact without, 0 is FedIT.
    public var residualRank: Int?
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        residualRank.map { $0 >= 0 } ?? true, "residual-rank", "the rank is negative",
        remedy: "Give a number ≥ 0, or none for exact aggregation")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf { Client(setting: setting) }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(setting, residualRank: options.residualRank ?? .max)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    var base = BaseDeltaCopy()

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      try open(brief)  // 1. W ← W + s·R, Aₖ, Bₖ ← Ā, B̄
      let outcome = try await setting.trainer.train(  // 2. E epochs on Dₖ, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      var update = Message(  // 3. upload
        tensors: setting.trainer.trainables, sampleCount: setting.trainer.sampleCount,
        outcome: outcome)
      base.stamp(&update)
      return update
    }

    mutating func evaluate(
      on brief: Message, split: DataSplit, round: Round
    ) async throws -> Metrics {
      try open(brief)
      return try await setting.trainer.evaluate(split)
    }

    private mutating func open(_ brief: Message) throws {
      try base.update(from: brief)
      try setting.trainer.load(base.delta)
      try setting.trainer.load(brief.tensors.withoutBaseDelta)
    }

    var snapshot: Snapshot { base.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try base.restore(snapshot) }
  }

  private struct Server: ServerHalf {
    let pairs: [FactorPair]
    let residualRank: Int
    var means: NamedTensors
    var base = BaseDeltaLog()
    var optimizer: ServerOptimizer
    var mean: WeightedMean
    var products: [FactoredSum]
    var totalWeight = 0.0

    init(_ setting: ServerSetting, residualRank: Int) {
      pairs = setting.factorPairs
      self.residualRank = residualRank
      means = setting.initial
      optimizer = ServerOptimizer(setting.aggregation.server)
      mean = WeightedMean(like: setting.initial)
      products = pairs.map { _ in FactoredSum() }
    }

    var global: NamedTensors { means.merging(base.delta.named) }

    func brief(for client: ClientID, round: Round) -> Message {
      var brief = Message(tensors: means)
      base.complete(&brief, for: client)
      return brief
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      var confirmed = base
      try confirmed.confirm(update, from: client)
      try mean.absorb(update.tensors, weight: weight, at: "update")  // 1. Σ wₖAₖ, Σ wₖBₖ
      base = confirmed
      for (index, pair) in pairs.enumerated() {
        guard let a = update.tensors[pair.a], let b = update.tensors[pair.b] else { continue }
        products[index].add(b: b, a: a, weight: weight)  // 2. Σ wₖBₖAₖ
      }
      totalWeight += weight
    }

    mutating func finish(round: Round) throws -> Metrics {
      let clients = mean.count
      defer { (products, totalWeight) = (pairs.map { _ in FactoredSum() }, 0) }
      guard let average = mean.finish() else { return [:] }  // 1. Ā, B̄
      var (change, bias) = (BaseChange(), BiasNorms())
      for (pair, sum) in zip(pairs, products) {
        guard let a = average[pair.a], let b = average[pair.b] else { continue }
        let ideal = sum.scaled(1 / totalWeight)
        let residual = ideal.residual(b: b, a: a)  // 2. R = Σ pₖ(Bₖ − B̄)(Aₖ − Ā)
        let (missed, rounding) = (residual.norm, b.norm().item * a.norm().item * 0x1p-22)
        let isWhole = residualRank >= (clients - 1) * a.size(0)
        let parts =
          isWhole
          ? (missed > rounding ? residual.factors : nil)
          : residual.truncated(toRank: residualRank, droppingUpTo: rounding)
        if let (u, v) = parts { change.add(pair.site, u: u * pair.scaling, v: v) }
        bias.add(pair.site, missed: missed * pair.scaling, all: ideal.norm * pair.scaling)
      }
      try base.append(change)  // 3. W ← W + s·R; 4. the next briefs bring it
      means = optimizer.step(means, towards: average, scale: round.stepScale)
      return bias.metrics
    }

    var snapshot: Snapshot {
      let groups = ["global": means, "server": optimizer.state]
      return Snapshot(groups: groups.merging(base.groups) { $1 }, fields: base.fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let stored = try snapshot.group("global", like: means)
      base = try BaseDeltaLog(snapshot)
      means = stored
      optimizer.restore(snapshot.group("server"))
    }
  }
}

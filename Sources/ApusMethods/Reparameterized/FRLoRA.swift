import ApusBase
public import ApusCore
import ApusTorch
import Foundation

/// FRLoRA: every round's change goes into the base weights of everybody, and LoRA starts anew.
///
/// All clients start each round from B₀ and A₀, the principal singular directions of the published
/// weight, beside a base from which s·B₀A₀ was taken. What the means gained over them, the residual
/// s(B̄Ā − B₀A₀), is added to the base on all sides, so the model can gain rank with every round.
///
/// The decomposition is of the published weight, made once, on the server, which sends B₀ and A₀ to
/// each client once: made on other hardware its signs could differ. A round counts as the base is
/// after folding, so the model in use is W0 + Σ s(B̄Ā − B₀A₀); adapters of the global model add
/// nothing. The mean of the products is not corrected. Other server optimizers than FedAvg move
/// B₀, A₀ and the head towards the means, and the residual is that of where they arrive.
///
/// The learning rate follows half a cosine over the rounds, with a fresh optimizer in each; the
/// published code keeps stale moments. It also leaves A frozen, which `trains-a` reproduces.
///
/// - State: server, B₀ and A₀, the head, the sum of residuals [d_out, d_in] per site and the latest
///   means; each client, its own copy of that sum, and B₀ and A₀.
/// - Traffic: Σ r(d_in + d_out) parameters and the head each way, and once as much for B₀ and A₀. A
///   client that missed rounds gets their means, or the sum of residuals where that is smaller.
/// - Source: Yan et al., ICLR 2025, OpenReview e0rQRMUhs7; settings of its reference code.
public struct FRLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FRLoRA", id: "frlora", family: .reparameterized,
    summary: "adds each round's residual to the base, and restarts LoRA from principal directions",
    challenges: ["data heterogeneity"], paper: "Yan et al., ICLR 2025, OpenReview e0rQRMUhs7",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 32
    training.learningRate = 2e-5
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whether A trains too, as in the paper; the released code trains B and the head alone.
    public var trainsA = true
    /// Whether to report the aggregation bias, for which the server looks at each update.
    public var reportsBias = true
    public init() {}
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, trained: options.trainsA ? .all : [.b, .head])
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf { Server(setting, options) }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let trained: TensorRoles
    var base = BaseDeltaCopy()
    var start = NamedTensors()  // B₀ and A₀

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let head = try open(brief)  // 1. Ŵ ← Ŵ + s(B̄Ā − B₀A₀)
      var local = base.delta
      try local.add(setting.factorPairs.change(from: start, share: -1))  // s·B₀A₀ is in LoRA
      try setting.trainer.load(local)
      try setting.trainer.load(start.merging(head))  // 1. Aₖ, Bₖ ← A₀, B₀
      var training = setting.training
      training.learningRate *= (1 + cos(.pi * Double(round.index) / Double(round.total))) / 2
      let outcome = try await setting.trainer.train(  // 2. on Dₖ, fresh optimizer
        LocalWork(
          training: training, random: round.random(of: setting.id), stepLimit: brief.stepLimit,
          round: round, selects: trained.contains(named:)))
      var update = Message(  // 3. upload
        tensors: setting.trainer.trainables, sampleCount: setting.trainer.sampleCount,
        outcome: outcome)
      base.stamp(&update)
      return update
    }

    /// The model in use is the base and the head: B is zero.
    mutating func evaluate(
      on brief: Message, split: DataSplit, round: Round
    ) async throws -> Metrics {
      let head = try open(brief)
      try setting.trainer.load(base.delta)
      try setting.trainer.load(setting.trainer.initial.merging(head))
      return try await setting.trainer.evaluate(split)
    }

    /// Takes in what the brief brings; returns the head.
    private mutating func open(_ brief: Message) throws -> NamedTensors {
      let values = brief.tensors.withoutBaseDelta
      let factors = values.factors(of: setting.factorPairs)
      if !factors.isEmpty { start = factors.copied() }
      let known = setting.factorPairs.change(from: start, share: -1)
      try base.update(from: brief) { sent throws(ApusError) in try sent.adding(known) }
      return values.withoutFactors(of: setting.factorPairs)
    }

    var snapshot: Snapshot {
      let kept = base.snapshot
      return Snapshot(
        tensors: kept.tensors.merging(Snapshot(groups: ["start": start]).tensors),
        fields: kept.fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let rest = snapshot.tensors.filtered { !$0.hasPrefix("start/") }
      try base.restore(Snapshot(tensors: rest, fields: snapshot.fields))
      start = snapshot.group("start")
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    var start = NamedTensors()  // B₀ and A₀
    var head: NamedTensors
    var base = BaseDeltaLog()
    var optimizer: ServerOptimizer
    var mean: WeightedMean
    var products: AggregationBias.Sums

    init(_ setting: ServerSetting, _ options: Options) {
      self.setting = setting
      head = setting.initial.withoutFactors(of: setting.factorPairs)
      optimizer = ServerOptimizer(setting.aggregation.server)
      mean = WeightedMean(like: setting.initial)
      products = AggregationBias(setting, isReported: options.reportsBias).sums()
    }

    var global: NamedTensors {
      setting.initial.merging(head).merging(base.delta.named)
    }

    mutating func brief(for client: ClientID, round: Round) throws -> Message {
      if start.isEmpty { start = try setting.principalFactors() }  // W0 = USVᵀ, once
      // 4. B̄ and Ā as changes of the base, the head, and once B₀ and A₀
      var brief = Message(tensors: base.hasHeard(from: client) ? head : head.merging(start))
      base.complete(&brief, for: client)
      return brief
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      var confirmed = base
      try confirmed.confirm(update, from: client)
      try mean.absorb(update.tensors, weight: weight, at: "update")  // 1. Σ wₖBₖ, Σ wₖAₖ
      base = confirmed
      products.add(update.tensors, weight: weight)
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer { products = products.emptied }
      guard let average = mean.finish() else { return [:] }  // 1. B̄, Ā
      let moved = optimizer.step(
        start.merging(head), towards: average, scale: round.stepScale)
      let sent = setting.factorPairs.change(from: moved)  // 2. s·B̄Ā, less what all know
      let known = setting.factorPairs.change(from: start, share: -1)
      try base.append(sent.adding(known), sentAs: sent)  // 3. Ŵ ← Ŵ + s(B̄Ā − B₀A₀)
      head = moved.withoutFactors(of: setting.factorPairs)
      return products.gaps(of: average).metrics
    }

    var snapshot: Snapshot {
      let groups = ["global": head, "start": start, "server": optimizer.state]
      return Snapshot(groups: groups.merging(base.groups) { $1 }, fields: base.fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let stored = try snapshot.group("global", like: head)
      base = try BaseDeltaLog(snapshot)
      (head, start) = (stored, snapshot.group("start"))
      optimizer.restore(snapshot.group("server"))
    }
  }
}

extension [FactorPair] {
  /// share·s·BA of each site as a change of the base.
  fileprivate func change(from factors: NamedTensors, share: Double = 1) -> BaseChange {
    var change = BaseChange()
    for pair in self {
      guard let a = factors[pair.a], let b = factors[pair.b] else { continue }
      change.add(pair.site, u: b * (pair.scaling * share), v: a)
    }
    return change
  }
}

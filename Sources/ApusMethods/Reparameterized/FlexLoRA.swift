import ApusBase
public import ApusCore
import ApusTorch

/// FlexLoRA: averages the products of clients of any ranks, and hands out truncations of the mean.
///
/// ΔW = Σ pₖsₖBₖAₖ is exact whatever the ranks are, and every client gets the best approximation of
/// it that its own rank allows: ΔW = UΣVᵀ, B = U·Σ/s and A = Vᵀ, cut to rₖ. Nothing is folded into
/// the frozen weights. Directions that no client of a round holds are lost with it, and after a
/// round of small ranks the mean has a small rank; that is the method, and is not repaired.
///
/// The scaling of a client is sₖ = alpha / rₖ, the client's own on the way up and the receiver's on
/// the way down. One rank holds for all sites of a client; one that can hold less has what it can.
/// ΔW is never formed: its factors are the clients', stacked. A head, if it trains, is averaged; the
/// server optimizer acts on it only.
///
/// - State: server, ΔW as factors, its leading part U·Σ [d_out, r_max] and Vᵀ [r_max, d_in] per
///   site, and the head; clients nothing.
/// - Traffic: rₖ(d_in + d_out) parameters per site and the head each way, and nₖ on the way up.
/// - Source: Bai et al., arXiv 2402.11505, and its reference code; the decomposition from factors as
///   in the project's card.
public struct FlexLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FlexLoRA", id: "flexlora", family: .reparameterized,
    summary: "averages products of unequal ranks, and hands out truncations of the mean",
    challenges: [
      "computational heterogeneity", "data heterogeneity", "server-side aggregation bias",
    ],
    paper: "Bai et al., NeurIPS 2024, arXiv 2402.11505",
    leavesClient: "A and B of every site in the client's rank, the head if it trains, nₖ",
    visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 4
    training.schedule = .linear
    return training
  }

  public static var scalesByRank: Bool { true }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// The ranks of the clients.
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

    func train(on brief: Message, round: Round) async throws -> Message {
      try load(brief)  // 1. Aₖ, Bₖ and sₖ
      let outcome = try await setting.trainer.train(  // 2. one epoch, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      return Message(  // 3. upload
        tensors: setting.trainer.trainables, sampleCount: setting.trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.rescale(
        brief.tensors.scalings(of: setting.factorPairs, configured: setting.trainer.initial))
      try setting.trainer.load(brief.tensors)
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let ranks: ClientRanks
    let start: FreshFactors
    var head: NamedTensors
    var products = BaseDelta()  // ΔW
    var leading = NamedTensors()  // U·Σ and Vᵀ of the highest rank of any client
    var optimizer: ServerOptimizer
    var mean: WeightedMean
    var sums: AggregationBias.Sums
    var sizes: ClientSizes

    init(_ setting: ServerSetting, ranks: ClientRanks) {
      self.setting = setting
      self.ranks = ranks
      start = FreshFactors(setting)
      head = setting.initial.withoutFactors(of: setting.factorPairs)
      optimizer = ServerOptimizer(setting.aggregation.server)
      mean = WeightedMean(like: head)
      sums = AggregationBias(setting.factorPairs).sums()
      sizes = ClientSizes(setting.factorPairs)
    }

    /// What a new client would use: fresh factors, which add nothing, beside the whole ΔW.
    var global: NamedTensors {
      setting.initial.merging(head).merging(products.named)
    }

    func brief(for client: ClientID, round: Round) -> Message {
      let rank = ranks.rank(
        of: client, adapterRank: start.adapterRank, device: setting.device(client),
        random: setting.random)
      var brief = Message(tensors: head)
      for pair in setting.factorPairs {  // 4., 5. cut to rₖ, and divided by sₖ
        guard let factors = start.factors(of: pair, rank: rank, leading: leading) else { continue }
        (brief.tensors[pair.a], brief.tensors[pair.b]) = factors
      }
      return brief
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      try update.tensors.requireFactors(
        of: setting.initial.merging(head), setting.factorPairs, at: "update")
      try mean.absorb(
        update.tensors.withoutFactors(of: setting.factorPairs), weight: weight, at: "update")
      sums.add(  // 1., 2. wₖsₖBₖAₖ
        update.tensors, weight: weight,
        scalings: update.tensors.scalings(of: setting.factorPairs, configured: setting.initial))
      sizes.note(update.tensors, from: client)
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer {
        sums = AggregationBias(setting.factorPairs).sums()
        sizes = ClientSizes(setting.factorPairs)
      }
      guard let average = mean.finish() else { return [:] }
      let highest = ranks.highestRank(adapterRank: start.adapterRank)
      var (whole, top, cut) = (BaseChange(), NamedTensors(), [String: Tensor]())
      for (pair, mean) in sums.ideals {  // 2. ΔW = Σ pₖsₖBₖAₖ
        var sum = mean.scaled(round.stepScale)
        if round.stepScale != 1, let former = products.matrix(of: pair.site) {
          sum.add(matrix: former, weight: 1 - round.stepScale)
        }
        guard let factors = sum.factors else { continue }
        whole.add(pair.site, u: factors.u, v: factors.v)
        guard let parts = FactoredSum.truncated(factors, toRank: highest)  // 3. UΣVᵀ
        else { continue }
        top["\(pair.site).u"] = parts.u.to(.float32).contiguous()
        top["\(pair.site).v"] = parts.v.to(.float32).contiguous()
        (cut[pair.b], cut[pair.a]) = (parts.u / pair.scaling, parts.v)
      }
      let missed = sums.gaps(of: NamedTensors(cut))  // what the cut to the highest rank loses
      products = BaseDelta()
      try products.add(whole)
      leading = top
      head = optimizer.step(head, towards: average, scale: round.stepScale)
      return sizes.metrics.merging(missed.metrics) { $1 }
    }

    var snapshot: Snapshot {
      Snapshot(groups: [
        "global": head, "server": optimizer.state, "products": products.named, "leading": leading,
      ])
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      head = try snapshot.group("global", like: head)
      optimizer.restore(snapshot.group("server"))
      products = BaseDelta(in: snapshot.group("products"))
      leading = snapshot.group("leading")
    }
  }
}

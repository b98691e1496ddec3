public import ApusBase
public import ApusCore
import ApusTorch

/// HetLoRA: each client has a rank of its own, and gives up what its factors' tail does not need.
///
/// The server keeps factors of the highest rank, that of the configured adapter, and sends each
/// client their leading rows and columns. What comes back is padded with zeros and averaged, each
/// site with the weight ‖BₖAₖ‖ in place of nₖ; that the zeros count damps high ranks, as intended. A
/// penalty on the tail of a client's factors makes room for pruning: where the tail shrank during
/// training the client drops it, and never gets it back.
///
/// The scaling s is the same for all ranks, as padding does not commute with alpha / r. One rank
/// holds for all sites of a client, and tail scores are summed over them. A head, if it trains, is
/// averaged by nₖ. A client without any product counts 10⁻³⁰, so that clients without products
/// alone count alike.
///
/// - State: server, Ā [r, d_in], B̄ [d_out, r] per site, the head, and the rank of each client that
///   took part; clients nothing, as the brief shows their rank.
/// - Traffic: rₖ(d_in + d_out) parameters per site and the head each way, in the rank after pruning
///   on the way up.
/// - Source: Cho et al., arXiv 2401.06432; λ and γ as in the project's card, ranks from 1 rather
///   than 5 so that a small adapter has some choice.
public struct HetLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "HetLoRA", id: "hetlora", family: .reparameterized,
    summary: "unequal ranks that prune themselves; factors are padded and averaged by their norm",
    challenges: ["computational heterogeneity", "data heterogeneity"],
    paper: "Cho et al., EMNLP 2024, arXiv 2401.06432",
    leavesClient: "A and B of every site in the client's rank, the head if it trains, nₖ",
    visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 8
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whose norm weighs a client's factors.
    public enum NormScope: String, Codable, Sendable, CaseIterable {
      /// That of each site's product.
      case module
      /// That of all products of a client together.
      case client
    }

    /// The ranks that clients begin with.
    public var ranks = ClientRanks()
    /// γ: the tail begins at row ⌊γ·r⌋, or at the last one.
    public var keptShare = 0.99
    /// λ ≥ 0, on Σ ‖B's tail‖·‖A's tail‖ in the loss.
    public var tailPenalty = 5e-4
    /// Whether clients prune.
    public var prunes = true
    /// The rank below which nobody prunes.
    public var lowestRank = 1
    /// Whose norm weighs a client's factors.
    public var normScope = NormScope.module

    public init() { ranks.rule = .powerLaw }

    public func validate() throws(ApusError) {
      try require(
        keptShare > 0 && keptShare < 1, "kept-share", "\(keptShare) keeps nothing or everything",
        remedy: "Give a share between 0 and 1, such as 0.99")
      try require(
        tailPenalty >= 0 && tailPenalty.isFinite, "tail-penalty", "\(tailPenalty) is no weight",
        remedy: "Give a number ≥ 0")
      try require(
        lowestRank >= 1, "lowest-rank", "\(lowestRank) is no rank", remedy: "Give a number ≥ 1")
    }

    /// First row of the tail of factors of this rank.
    func tail(ofRank rank: Int) -> Int { min(Int(keptShare * Double(rank)), rank - 1) }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf { Server(setting, options) }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options

    func train(on brief: Message, round: Round) async throws -> Message {
      try setting.trainer.load(brief.tensors)  // 1. the leading slice of Ā and B̄
      let pairs = setting.factorPairs
      let rank = pairs.compactMap { brief.tensors.rank(of: $0) }.max() ?? 1
      let tail = TailPenalty(pairs, from: options.tail(ofRank: rank), options.tailPenalty)
      let before = tail.score(of: brief.tensors)  // 2. n⁰
      let outcome = try await setting.trainer.train(  // 3. the task's loss + λ·tail score
        LocalWork(
          of: setting, in: round, on: brief, hooks: options.tailPenalty > 0 ? [tail] : []))
      var trained = setting.trainer.trainables
      if options.prunes, rank > options.lowestRank, tail.score(of: trained) < before {  // 4. n¹
        trained = trained.truncated(toRank: max(options.lowestRank, tail.start), pairs)  // 5.
      }
      return Message(  // 6. upload, in the new rank
        tensors: trained, sampleCount: setting.trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try setting.trainer.load(brief.tensors)
      return try await setting.trainer.evaluate(split)
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let options: Options
    var global: NamedTensors
    var ranks: [Int: Int] = [:]  // after pruning, by the client's index
    var optimizer: ServerOptimizer
    var means: SiteMeans
    var products: AggregationBias.Sums
    var sizes: ClientSizes

    init(_ setting: ServerSetting, _ options: Options) {
      self.setting = setting
      self.options = options
      global = setting.initial
      optimizer = ServerOptimizer(setting.aggregation.server)
      means = SiteMeans(like: setting.initial, setting.factorPairs)
      products = AggregationBias(setting.factorPairs).sums()
      sizes = ClientSizes(setting.factorPairs)
    }

    /// rₖ, one for all sites; a site that can hold less has less.
    func rank(of client: ClientID) -> Int {
      let highest = setting.factorPairs.compactMap { setting.initial.rank(of: $0) }.max() ?? 1
      let own = options.ranks.rank(
        of: client, adapterRank: highest, device: setting.device(client), random: setting.random)
      return min(ranks[client.index] ?? own, highest)
    }

    func brief(for client: ClientID, round: Round) -> Message {
      Message(tensors: global.truncated(toRank: rank(of: client), setting.factorPairs))  // 1.
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      let pairs = setting.factorPairs
      try update.tensors.requireFactors(
        of: setting.initial, pairs, upToRank: rank(of: client), at: "update")
      let norms = pairs.map {  // 3. ‖BₖAₖ‖, through Gram matrices
        guard let a = update.tensors[$0.a], let b = update.tensors[$0.b] else { return 0.0 }
        return FactoredSum(b: b, a: a).norm
      }
      let whole = norms.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let weights = norms.map { max(options.normScope == .client ? whole : $0, 1e-30) }
      try means.absorb(  // 2., 4. zeros where a client has no rank
        update.tensors.padded(like: setting.initial, pairs), weights: weights,
        otherWeight: weight, at: "update")
      ranks[client.index] = pairs.compactMap { update.tensors.rank(of: $0) }.max()  // 5.
      products.add(update.tensors, weight: weight)
      sizes.note(update.tensors, from: client)
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer {
        products = AggregationBias(setting.factorPairs).sums()
        sizes = ClientSizes(setting.factorPairs)
      }
      guard let average = means.finish() else { return [:] }
      let metrics = products.gaps(of: average).metrics.merging(sizes.metrics) { $1 }
      global = optimizer.step(global, towards: average, scale: round.stepScale)  // 4.
      return metrics
    }

    var snapshot: Snapshot {
      var fields: [String: FieldValue] = [:]
      for (client, rank) in ranks { fields["rank/\(client)"] = .int(rank) }
      return Snapshot(groups: ["global": global, "server": optimizer.state], fields: fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      global = try snapshot.group("global", like: global)
      optimizer.restore(snapshot.group("server"))
      ranks = [:]
      for (name, value) in snapshot.fields where name.hasPrefix("rank/") {
        if let client = Int(name.dropFirst("rank/".count)) { ranks[client] = value.int }
      }
    }
  }
}

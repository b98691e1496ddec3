public import ApusBase
public import ApusCore
import ApusTorch
import Foundation

/// LEGEND: weak devices train LoRA in the last blocks alone, whose ranks grow towards the output.
///
/// Every block has one rank for all devices, so averaging needs no padding: a block's factors are
/// averaged over the devices that train it. After each round the server estimates what devices need
/// and gives each a depth with which they finish together; a device that was never measured trains
/// all blocks. The blocks below are frozen and without LoRA, and no gradient goes there.
///
/// The budget of ranks is that of the configured adapter in all blocks, and its scaling holds for
/// all ranks unless `scaling` says otherwise; then the global model has the ratio in its B. A
/// device's times are those of its profile, two thirds of a step backward, with the profile's
/// jitter; in a real federation it measures them.
///
/// - State: server, A [r_l, d_in] and B [d_out, r_l] per site, the head, and times and depth of each
///   device that took part; clients nothing.
/// - Traffic: Σ r_l(d_in + d_out) over the sites of the device's blocks and the head each way, and
///   three numbers on the way up.
/// - Source: Liu et al., arXiv 2412.20004; time model, search and constants as in the project's card.
public struct LEGEND: FederatedMethod {
  public static let card = MethodCard(
    name: "LEGEND", id: "legend", family: .reparameterized,
    summary: "devices train as many of the last blocks as their speed allows, at growing ranks",
    challenges: ["computational heterogeneity"], paper: "Liu et al. 2024, arXiv 2412.20004",
    leavesClient: "A and B of the device's blocks, the head if it trains, nₖ, three times",
    visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 32
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// s for blocks of another rank than the configured one.
    public enum Scaling: String, Codable, Sendable, CaseIterable {
      /// The configured one for all.
      case constant
      /// alpha / r_l.
      case alphaOverRank = "alpha-over-rank"
    }

    /// λ, by which ranks grow from block to block.
    public var rankStep = 1
    /// s for blocks of another rank than the configured one.
    public var scaling = Scaling.constant
    /// ρ, the weight of what was known of a device against its last measurement.
    public var memory = 0.8
    /// The fewest blocks that a device trains.
    public var lowestDepth = 1
    /// How depths are found.
    public var search = DepthPlan.Search.greedy
    /// Seconds of waiting that are good enough.
    public var tolerance = 0.0
    /// Whether devices count by nₖ rather than alike.
    public var weighsBySamples = false
    public init() {}

    public func validate() throws(ApusError) {
      try require(rankStep >= 0, "rank-step", "\(rankStep) is negative", remedy: "Give 0 or more")
      try require(
        (0..<1).contains(memory), "memory", "\(memory) is out of range", remedy: "Give 0 ≤ ρ < 1")
      try require(lowestDepth >= 1, "lowest-depth", "there is no block", remedy: "Give 1 or more")
      try require(tolerance >= 0, "tolerance", "\(tolerance) is negative", remedy: "Give 0 or more")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, rescales: options.scaling == .alphaOverRank)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf { Server(setting, options) }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let rescales: Bool

    func train(on brief: Message, round: Round) async throws -> Message {
      try load(brief)  // 1. the factors of the last blocks
      let names = Set(brief.tensors.names)
      let outcome = try await setting.trainer.train(  // 2., 3. those and the head
        LocalWork(of: setting, in: round, on: brief, selects: { names.contains($0) }))
      var update = Message(
        tensors: setting.trainer.trainables.filtered(names.contains),
        sampleCount: setting.trainer.sampleCount, outcome: outcome)
      let own = CapacityMeter(setting, round).capacity(steps: outcome.steps)
      update.fields["forward_seconds"] = .double(own.forwardSeconds)  // 4. measured times
      update.fields["layer_seconds"] = .double(own.layerSeconds)
      update.fields["rank_seconds"] = .double(own.rankSeconds)
      return update
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    /// Where the brief brings no factors, B is zero as at the start.
    private func load(_ brief: Message) throws {
      if rescales {
        try setting.trainer.rescale(
          brief.tensors.scalings(of: setting.factorPairs, configured: setting.trainer.initial))
      }
      try setting.trainer.load(setting.trainer.initial.merging(brief.tensors))
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let options: Options
    let layers: SiteLayers
    let ranks: [Int]
    var factors: NamedTensors
    var devices = DeviceTable()
    var optimizer: ServerOptimizer
    var means: SiteMeans
    var products: AggregationBias.Sums
    var sizes: ClientSizes

    init(_ setting: ServerSetting, _ options: Options) {
      let (layers, fresh) = (SiteLayers(setting.factorPairs), FreshFactors(setting))
      ranks = DepthPlan.ranks(  // 4. r_l = r₀ + λl
        budget: layers.count * fresh.adapterRank, step: options.rankStep, count: layers.count)
      factors = setting.initial
      for pair in setting.factorPairs {
        let own = fresh.factors(of: pair, rank: ranks[layers[pair]], leading: NamedTensors())
        (factors[pair.a], factors[pair.b]) = (own?.a, own?.b)
      }
      (self.setting, self.options, self.layers) = (setting, options, layers)
      optimizer = ServerOptimizer(setting.aggregation.server)
      means = SiteMeans(like: factors, setting.factorPairs)
      products = AggregationBias(setting.factorPairs).sums()
      sizes = ClientSizes(setting.factorPairs)
    }

    var global: NamedTensors {
      guard options.scaling == .alphaOverRank else { return factors }
      return factors.foldingScalings(of: setting.factorPairs, configured: setting.initial)
    }

    private func owned(by client: ClientID) -> [FactorPair] {
      let depth = devices.depth(of: client, of: layers.count)
      return setting.factorPairs.filter { layers[$0] >= layers.count - depth }
    }

    func brief(for client: ClientID, round: Round) -> Message {  // 6. the suffix and the head
      let head = factors.withoutFactors(of: setting.factorPairs)
      return Message(tensors: head.merging(factors.factors(of: owned(by: client))))
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      let measured = try DeviceTable.capacity(in: update, from: client)
      let (sites, own) = (Set(owned(by: client)), options.weighsBySamples ? weight : 1)
      try means.absorb(  // 1. over the devices that train a block
        update.tensors, weights: setting.factorPairs.map { sites.contains($0) ? own : nil },
        otherWeight: own, at: "update")
      products.add(update.tensors, weight: own)
      sizes.note(update.tensors, from: client)
      devices.measure(client, measured, keeping: options.memory)  // 2. moving averages
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer {
        products = AggregationBias(setting.factorPairs).sums()
        sizes = ClientSizes(setting.factorPairs)
      }
      guard let average = means.finish() else { return [:] }
      var metrics = products.gaps(of: average).metrics.merging(sizes.metrics) { $1 }
      let plan = devices.plan(  // 3., 5. depths for the next round
        ranks: ranks, lowest: min(options.lowestDepth, layers.count), options.search,
        tolerance: options.tolerance)
      metrics["waiting_seconds"] = plan.waiting
      metrics["depth_gap"] = Double(plan.gap)
      factors = optimizer.step(factors, towards: average, scale: round.stepScale)
      means = SiteMeans(like: factors, setting.factorPairs)
      return metrics
    }

    var snapshot: Snapshot {
      Snapshot(groups: ["global": factors, "server": optimizer.state], fields: devices.fields)
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      factors = try snapshot.group("global", like: factors)
      means = SiteMeans(like: factors, setting.factorPairs)
      optimizer.restore(snapshot.group("server"))
      devices = DeviceTable(snapshot.fields)
    }
  }
}

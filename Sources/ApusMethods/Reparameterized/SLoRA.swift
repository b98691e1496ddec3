public import ApusBase
public import ApusCore
import ApusTorch

/// SLoRA: some rounds of sparse fine-tuning first, whose sum then primes LoRA's factors.
///
/// In the first stage every client tunes the same few entries of the adapted weights, drawn once
/// from a seed that all know, so that only their values are sent. Then the sum of the changes is
/// decomposed, its largest singular values become B and A, the weights go back to the published
/// ones, and LoRA is trained as in FedIT. What the factors cannot hold is lost at the switch; the
/// share of the energy that they keep is reported.
///
/// A head trains in both stages. Optimizers start anew in each round, the server's at the switch.
/// The mask covers the adapted weights alone, as anything else would be thrown away. By default a
/// weight has as many tuned entries as its factors have elements.
///
/// - State: server, the tuned entries, or A [r, d_in] and B [d_out, r] per site, and the head;
///   clients nothing but the seed.
/// - Traffic: first stage, the tuned entries each way; second, Σ r(d_in + d_out); the head in both,
///   and nₖ on the way up.
/// - Source: Babakniya et al., arXiv 2308.06522; the split of singular values and the number of
///   rounds as in the baseline of FlexLoRA's authors.
public struct SLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "SLoRA", id: "slora", family: .reparameterized,
    summary: "sparse fine-tuning first; the decomposition of its sum primes LoRA",
    challenges: ["data heterogeneity", "communication efficiency"],
    paper: "Babakniya et al. 2023, arXiv 2308.06522",
    leavesClient: "changes of the tuned entries, later A and B; the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 32
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// R₁, rounds of sparse fine-tuning.
    public var sparseRounds = 5
    /// δ, the share of entries that are tuned; none for LoRA's own number of parameters.
    public var density: Double?
    /// Seed of the mask.
    public var maskSeed: UInt64 = 1
    /// Whether to report the aggregation bias, for which the server looks at each update.
    public var reportsBias = true
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        sparseRounds >= 0, "sparse-rounds", "\(sparseRounds) is negative", remedy: "Give 0 or more")
      try require(
        density.map { $0 > 0 && $0 <= 1 } ?? true, "density", "\(density ?? 0) is no share",
        remedy: "Give a number above 0, at most 1")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    if options.sparseRounds > 0 {
      parts.sparse = SparsePlan(density: options.density, seed: options.maskSeed)
    }
    return parts
  }

  public func client(_ setting: ClientSetting) -> any ClientHalf { Client(setting: setting) }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(setting, options, plan: modelExtension.sparse)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting

    func train(on brief: Message, round: Round) async throws -> Message {
      try load(brief)  // 1. the tuned entries, or 4. A and B beside the published weights
      let names = Set(brief.tensors.names)
      let outcome = try await setting.trainer.train(  // 2., 4. what the brief brought
        LocalWork(of: setting, in: round, on: brief, selects: names.contains))
      var trained = setting.trainer.trainables.filtered(names.contains)
      for (name, former) in brief.tensors where SparsePlan.contains(name) {
        trained[name] = trained[name].map { $0 - former }  // 3. changes of the entries
      }
      return Message(  // 3., 4. upload
        tensors: trained, sampleCount: setting.trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.load(setting.trainer.initial.merging(brief.tensors))
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let options: Options
    let plan: SparsePlan?
    var entries: NamedTensors  // of the first stage, empty in the second
    var values: NamedTensors  // the head, and the factors in the second stage
    var optimizer: ServerOptimizer
    var mean: WeightedMean?
    var products: AggregationBias.Sums

    init(_ setting: ServerSetting, _ options: Options, plan: SparsePlan?) {
      (self.setting, self.options, self.plan) = (setting, options, plan)
      let all = setting.initial.filtered { !SparsePlan.contains($0) }
      entries = setting.initial.filtered(SparsePlan.contains)
      values = entries.isEmpty ? all : all.withoutFactors(of: setting.factorPairs)
      optimizer = ServerOptimizer(setting.aggregation.server)
      products = AggregationBias(setting, isReported: options.reportsBias).sums()
    }

    /// The first stage's changes as a base delta, beside factors that add nothing.
    var global: NamedTensors {
      let delta = try? delta()  // the entries are the plan's, or restoring had refused them
      return setting.initial.merging(values).merging(delta?.named ?? NamedTensors())
    }

    func brief(for client: ClientID, round: Round) -> Message {
      Message(tensors: entries.merging(values))
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      var sum = mean ?? WeightedMean(like: entries.merging(values))
      mean = nil
      defer { mean = sum.count > 0 ? sum : nil }
      try sum.absorb(update.tensors, weight: weight, at: "update")
      products.add(update.tensors, weight: weight)
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer { (mean, products) = (nil, products.emptied) }
      guard var average = mean?.finish() else { return [:] }
      for (name, former) in entries { average[name] = average[name].map { former + $0 } }
      let moved = optimizer.step(  // W ← W + Σ pₖ(Wₖ − W); later Ā, B̄
        entries.merging(values), towards: average, scale: round.stepScale)
      entries = moved.filtered(SparsePlan.contains)
      values = moved.filtered { !SparsePlan.contains($0) }
      guard !entries.isEmpty, round.index + 1 >= options.sparseRounds else {
        return products.gaps(of: average).metrics
      }
      return try switchToFactors()
    }

    /// s·BA ← the best approximation of W − W0, and W ← W0.
    private mutating func switchToFactors() throws -> Metrics {
      var (kept, whole) = (0.0, 0.0)
      values = setting.initial.factors(of: setting.factorPairs).merging(values)
      for pair in setting.factorPairs {
        let name = SparsePlan.name(besideA: pair.a)
        guard let now = entries[name], let start = setting.initial[name], let plan,
          let a = setting.initial[pair.a], let b = setting.initial[pair.b]
        else { continue }
        let change = now.to(.float64) - start.to(.float64)
        guard change.anyTrue else { continue }
        let mask = plan.mask(pair.site, shape: [b.size(0), a.size(1)], rank: a.size(0))
        let top = LeadingDirections(of: change, in: mask, rank: a.size(0))  // 1., 2. UΣVᵀ
        values[pair.b] = (top.u * top.s / pair.scaling).to(.float32).contiguous()
        values[pair.a] = top.vt.to(.float32).contiguous()
        kept += top.s.squared.sum().item
        whole += change.squared.sum().item
      }
      try Tensor.check("decomposition")
      entries = NamedTensors()  // 3. the published weights again
      optimizer = ServerOptimizer(setting.aggregation.server)
      return whole > 0 ? ["captured_energy": kept / whole] : [:]
    }

    /// W − W0 in the first stage, nothing in the second.
    private func delta() throws(ApusError) -> BaseDelta {
      try plan?.delta(of: entries, from: setting.initial, setting.factorPairs) ?? BaseDelta()
    }

    var snapshot: Snapshot {
      Snapshot(groups: ["global": values, "entries": entries, "server": optimizer.state])
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let (stored, tuned) = (snapshot.group("global"), snapshot.group("entries"))
      try stored.merging(tuned).requireShapes(
        of: tuned.isEmpty
          ? setting.initial.filtered { !SparsePlan.contains($0) }
          : setting.initial.withoutFactors(of: setting.factorPairs), at: "snapshot")
      (values, entries) = (stored, tuned)
      optimizer = ServerOptimizer(setting.aggregation.server)
      optimizer.restore(snapshot.group("server"))
    }
  }
}

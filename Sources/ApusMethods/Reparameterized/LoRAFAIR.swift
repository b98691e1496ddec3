public import ApusBase
public import ApusCore
import ApusTorch

/// LoRA-FAIR: averages A and B as FedIT does, then corrects B̄ so that the product points right.
///
/// The server solves for a ΔB that turns (B̄ + ΔB)Ā towards Σ pₖBₖAₖ and stays small; clients go on
/// from Ā and B̄ + ΔB, so nothing is merged, nothing starts anew, and no message grows. The result
/// has rank r, while the ideal has up to K·r: what remains is reported with each round.
///
/// The cosine is that of whole matrices; code derived from the official repository also knows the
/// mean of one cosine per column, which is not part of this. Another server optimizer than FedAvg
/// takes the corrected mean as what it steps towards.
///
/// - State: server, Ā [r, d_in] and B̄ + ΔB [d_out, r] per site, and a trained head; clients nothing.
/// - Traffic: as FedIT, Σ r(d_in + d_out) parameters and the head each way, and nₖ on the way up.
/// - Source: Bian et al., arXiv 2411.14961; the squared penalty, the solver and its constants as in
///   code derived from the official one, λ as in the paper.
public struct LoRAFAIR: FederatedMethod {
  public static let card = MethodCard(
    name: "LoRA-FAIR", id: "lora-fair", family: .reparameterized,
    summary: "FedIT, and the server corrects the mean of B towards the mean of the products",
    challenges: ["server-side aggregation bias"],
    paper: "Bian et al., ICCV 2025, arXiv 2411.14961",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 128
    training.optimizer.kind = .sgd
    training.learningRate = 0.01
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// How ΔB is found.
    public var refinement = FactorRefinement()
    public init() {}

    public func validate() throws(ApusError) {
      do throws(ApusError) { try refinement.validate() } catch {
        throw ApusError(
          error.code, at: "refinement.\(error.location)", error.problem, remedy: error.remedy)
      }
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    // 1. Aₖ, Bₖ ← Ā, B̄ + ΔB; 2. E epochs on Dₖ, fresh optimizer; 3. upload
    AveragingClient(setting)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(setting, refinement: options.refinement)
  }

  private struct Server: ServerHalf {
    let refinement: FactorRefinement
    let bias: AggregationBias
    var global: NamedTensors
    var optimizer: ServerOptimizer
    var mean: WeightedMean
    var products: AggregationBias.Sums

    init(_ setting: ServerSetting, refinement: FactorRefinement) {
      self.refinement = refinement
      bias = AggregationBias(setting.factorPairs)
      global = setting.initial
      optimizer = ServerOptimizer(setting.aggregation.server)
      mean = WeightedMean(like: setting.initial)
      products = bias.sums()
    }

    func brief(for client: ClientID, round: Round) -> Message { Message(tensors: global) }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      try mean.absorb(update.tensors, weight: weight, at: "update")  // 1. Σ wₖAₖ, Σ wₖBₖ
      products.add(update.tensors, weight: weight)  // 2. ΔW = Σ pₖBₖAₖ, as factors
    }

    mutating func finish(round: Round) throws -> Metrics {
      defer { products = bias.sums() }
      guard var average = mean.finish() else { return [:] }  // 1. Ā, B̄
      let found = products.gaps(of: average)
      var metrics = found.metrics
      for (pair, ideal) in products.ideals {
        guard let a = average[pair.a], let b = average[pair.b] else { continue }
        let correction = refinement.correction(  // 3., 4. ΔB, with Ā fixed
          of: b, a: a, towards: ideal.scaled(1 / pair.scaling),
          random: round.random.substream("refinement").substream(pair.site))
        average[pair.b] = (b.to(.float64) + correction).to(.float32)  // 5. B̄ + ΔB
      }
      if let left = products.gaps(of: average, beside: found).relative {
        metrics["remaining_bias"] = left
      }
      global = optimizer.step(global, towards: average, scale: round.stepScale)
      return metrics
    }

    var snapshot: Snapshot {
      Snapshot(groups: ["global": global, "server": optimizer.state])
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      global = try snapshot.group("global", like: global)
      optimizer.restore(snapshot.group("server"))
    }
  }
}

import ApusBase
public import ApusCore

/// FedIT: clients train the LoRA factors A and B; the server averages each factor on its own.
///
/// The baseline that later methods correct: the mean of the products BₖAₖ is not the product of
/// the means, and the gap is exactly R = Σ pₖ(Bₖ − B̄)(Aₖ − Ā). It is reported with each round, as
/// ‖R‖ / ‖Σ pₖBₖAₖ‖ over all sites.
///
/// Adapters other than LoRA are averaged tensor by tensor as well, and report no bias.
///
/// - State: server, Ā [r, d_in] and B̄ [d_out, r] per site, and a trained head; clients nothing.
/// - Traffic: Σ r(d_in + d_out) parameters and the head each way, and nₖ on the way up.
/// - Source: Zhang et al., arXiv 2305.05644; defaults of its reference code, Shepherd. The server
///   step is FedAvg's, arXiv 1602.05629, Algorithm 1, unless another optimizer is configured.
public struct FedIT: FederatedMethod {
  public static let card = MethodCard(
    name: "FedIT", id: "fedit", family: .reparameterized,
    summary: "FedAvg of the LoRA factors A and B, each on its own",
    paper: "Zhang et al. 2023, arXiv 2305.05644",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .weightedSum)

  public static var takesAnyAdapter: Bool { true }

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 10
    training.batchSize = 64
    training.learningRate = 3e-4
    training.schedule = .linear
    training.clipNorm = 1
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whether to report the aggregation bias, for which the server looks at each update; costs two
    /// QR decompositions per site at most.
    public var reportsBias = true
    public init() {}
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    // 1. Aₖ, Bₖ ← Ā, B̄; 2., 3. E epochs on Dₖ, fresh optimizer; 4. upload
    AveragingClient(setting)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    // 2., 3. Ā ← Σ pₖAₖ, B̄ ← Σ pₖBₖ
    AveragingServer(setting, reportsBias: options.reportsBias)
  }
}

public import ApusBase
public import ApusCore

/// RoLoRA: rounds that train and average B alone take turns with rounds that do so with A alone.
///
/// In every round all clients share the frozen factor, so the mean of the products is the product
/// of the means as in FFA-LoRA, but both factors learn. B goes first, as A's gradient is zero while
/// B is. Models are comparable after whole cycles of two rounds.
///
/// A brief carries both factors, since a client drawn now may have missed the round that changed
/// the other one; the paper counts one factor each way. Its 20 batches a round are written as
/// `local-epochs` here. The default optimizer is AdamW, with which a reproduction learns where the
/// paper's SGD stayed at chance.
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and a trained head; clients nothing.
/// - Traffic: up, Σ r·d_out or Σ r·d_in parameters by turns, a trained head, and nₖ; down, both
///   factors and a trained head.
/// - Source: Chen et al., arXiv 2502.01755; its supplement for the order and the frozen head.
public struct RoLoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "RoLoRA", id: "rolora", family: .reparameterized,
    summary: "B and A train and are averaged in alternate rounds, without bias",
    challenges: ["server-side aggregation bias"],
    paper: "Chen et al. 2025, NeurIPS, arXiv 2502.01755",
    leavesClient: "B and A of every site by turns, the head if it trains, nₖ",
    visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 32
    training.learningRate = 5e-4
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whether the head trains and is averaged in every round; the supplement freezes it.
    public var trainsHead = false
    /// Factor on the learning rate in rounds that train B, > 0; the paper also tries 2 and 4.
    public var bRateFactor = 1.0
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        bRateFactor > 0 && bRateFactor.isFinite, "b-rate-factor", "\(bRateFactor) is no factor",
        remedy: "Give a number > 0, such as 1")
    }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    // B-round: B ← Σ pₖBₖ, A stays; A-round: A ← Σ pₖAₖ, B stays
    AveragingServer(
      setting, sends: options.trainsHead ? .all : [.a, .b],
      averages: { [options] in options.trained(in: $0) })
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options

    func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      let trained = options.trained(in: round)
      try load(brief)  // 1. A, B
      let outcome = try await trainer.train(  // 2. one factor on Dₖ, the other has no gradient
        LocalWork(
          training: training(in: round), random: round.random(of: setting.id),
          stepLimit: brief.stepLimit, selects: trained.contains(named:)))
      return Message(  // 3. upload that factor
        tensors: trainer.trainables.filtered(trained), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.load(setting.trainer.initial.merging(brief.tensors))
    }

    private func training(in round: Round) -> LocalTraining {
      var training = setting.training
      if TensorRoles.alternating(in: round) == .b { training.learningRate *= options.bRateFactor }
      return training
    }
  }
}

extension RoLoRA.Options {
  /// What trains, is sent up and is averaged in this round.
  fileprivate func trained(in round: Round) -> TensorRoles {
    TensorRoles.alternating(in: round).union(trainsHead ? .head : [])
  }
}

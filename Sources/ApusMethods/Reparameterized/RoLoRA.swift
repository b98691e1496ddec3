public import ApusBase
public import ApusCore

/// RoLoRA: rounds that train and average B alone take turns with rounds that do so with A alone.
///
/// In every round all clients share the frozen factor, so the mean of the products is the product
/// of the means as in FFA-LoRA, but both factors learn. B goes first, as A's gradient is zero while
/// B is. Models are comparable after whole cycles of two rounds.
///
/// Clients keep both factors as they last got them, so that a brief carries only what has changed
/// since: one factor for a client of the last round, both after a pause. The paper's 20 batches a
/// round are written as `local-epochs` here. The default optimizer is AdamW, with which a
/// reproduction learns where the paper's SGD stayed at chance.
///
/// - State: server, A [r, d_in] and B [d_out, r] per site, and a trained head; each client, its
///   last copy of them.
/// - Traffic: Σ r·d_out or Σ r·d_in parameters by turns and a trained head each way, and nₖ on the
///   way up; down, both factors to a client that missed a round.
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
    /// Whether to report the aggregation bias, for which the server looks at each update.
    public var reportsBias = true
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
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    // B-round: B ← Σ pₖBₖ, A stays; A-round: A ← Σ pₖAₖ, B stays
    AveragingServer(
      setting, sends: options.shared, skipsKnown: true,
      averages: { [options] in options.trained(in: $0) },
      reportsBias: options.reportsBias)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var received: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      received = PersonalTensors(startingAt: setting.trainer.initial.filtered(options.shared))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      let trained = options.trained(in: round)
      received.keep(try load(brief))  // 1. A, B
      let outcome = try await trainer.train(  // 2. one factor on Dₖ, the other has no gradient
        LocalWork(
          training: training(in: round), random: round.random(of: setting.id),
          stepLimit: brief.stepLimit, round: round, selects: trained.contains(named:)))
      return Message(  // 3. upload that factor
        tensors: trainer.trainables.filtered(trained), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      _ = try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    /// Loads what the client has, brought up to date, beside what never trains.
    private func load(_ brief: Message) throws -> NamedTensors {
      let present = received.values.merging(brief.tensors)
      try setting.trainer.load(setting.trainer.initial.merging(present))
      return present
    }

    private func training(in round: Round) -> LocalTraining {
      var training = setting.training
      if TensorRoles.alternating(in: round) == .b { training.learningRate *= options.bRateFactor }
      return training
    }

    var snapshot: Snapshot { received.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try received.restore(snapshot) }
  }
}

extension RoLoRA.Options {
  /// What all sides have in common.
  fileprivate var shared: TensorRoles { trainsHead ? .all : [.a, .b] }

  /// What trains, is sent up and is averaged in this round.
  fileprivate func trained(in round: Round) -> TensorRoles {
    TensorRoles.alternating(in: round).union(trainsHead ? .head : [])
  }
}

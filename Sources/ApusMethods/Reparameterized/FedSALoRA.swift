import ApusBase
public import ApusCore

/// FedSA-LoRA: clients train both factors, but share only A; B and the head stay private.
///
/// Clients with unlike data learn much the same A and different B, so the mean of A carries what
/// they have in common and every client keeps its own answer to it. There is no single model: the
/// one of a new client is Ā beside B = 0 and the head as it was drawn, which answers like the
/// frozen backbone. So each client's own model is measured.
///
/// The paper counts ten batches a round; here a round is `local-epochs` passes, as in every
/// method. The released code lets simulated clients share B, and skips a batch whose loss is NaN;
/// here B is private as in the paper, and a loss that is not finite is a client's error.
///
/// - State: server, Ā [r, d_in] per site; each client, Bₖ [d_out, r] and its head, which persist
///   through rounds in which it is not drawn.
/// - Traffic: Σ r·d_in parameters each way (and the head, if it is shared), and nₖ on the way up.
/// - Source: Guo et al., arXiv 2410.01463; settings of its reference code for GLUE.
public struct FedSALoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FedSA-LoRA", id: "fedsa-lora", family: .reparameterized,
    summary: "both factors train, only A is averaged; B and the head stay private",
    challenges: ["data heterogeneity"], paper: "Guo et al. 2025, ICLR, arXiv 2410.01463",
    leavesClient: "A of every site, the head if it is shared, nₖ", visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 128
    training.optimizer.kind = .sgd
    training.learningRate = 0.02
    return training
  }

  public static var hasGlobalModel: Bool { false }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whether the head is averaged with A rather than kept by each client as in the paper.
    public var sharesHead = false
    public init() {}
  }

  private let shared: TensorRoles

  public init(_ options: Options) { shared = options.sharesHead ? [.a, .head] : .a }

  public func isPersonal(_ tensor: String) -> Bool { !shared.contains(named: tensor) }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, shared: shared)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    // 2. Ā ← Σ pₖAₖ, nothing else; 3. broadcast Ā
    AveragingServer(setting, sends: shared, averages: { [shared] _ in shared })
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let shared: TensorRoles
    var personal: PersonalTensors

    init(_ setting: ClientSetting, shared: TensorRoles) {
      self.setting = setting
      self.shared = shared
      personal = PersonalTensors(
        startingAt: setting.trainer.initial.filtered(TensorRoles.all.subtracting(shared)))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try load(brief)  // 1. Aₖ ← Ā beside the client's own Bₖ and head
      let outcome = try await trainer.train(  // 2., 3. Aₖ, Bₖ, head jointly on Dₖ, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      personal.keep(trainer.trainables)  // 4. store Bₖ and the head, upload Aₖ
      return Message(
        tensors: trainer.trainables.filtered(shared), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.load(personal.values.merging(brief.tensors))
    }

    func ownAdapter(beside brief: Message, round: Round) -> NamedTensors? {
      personal.values.merging(brief.tensors)
    }

    var snapshot: Snapshot { personal.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try personal.restore(snapshot) }
  }
}

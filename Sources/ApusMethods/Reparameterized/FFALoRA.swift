import ApusBase
public import ApusCore

/// FFA-LoRA: A stays for ever as it was drawn; clients train, and the server averages, B alone.
///
/// With one A₀ for all, the model is linear in what trains: Σ pₖ(BₖA₀) = (Σ pₖBₖ)A₀, so averaging
/// has no bias, and noise on B enters the model once. The price is capacity, for no change ever
/// leaves the row space of A₀. Its learning rate is about ten times LoRA's.
///
/// Every side draws A₀ from the run's seed, so it is never sent: uniform in ±1/√d_in as Hugging
/// Face PEFT does, where the paper has a Gaussian. The paper counts ten batches a round; here a
/// round is `local-epochs` passes, as in every method. The paper's private variant, DP-SGD on each
/// client, is not part of this.
///
/// - State: server, B [d_out, r] per site, and a trained head; clients nothing but the seed.
/// - Traffic: Σ r·d_out parameters and a trained head each way, and nₖ on the way up.
/// - Source: Sun et al., arXiv 2403.12313; settings of its section 5.
public struct FFALoRA: FederatedMethod {
  public static let card = MethodCard(
    name: "FFA-LoRA", id: "ffa-lora", family: .reparameterized,
    summary: "A frozen as it was drawn; only B trains and is averaged, without bias",
    challenges: ["privacy preservation", "server-side aggregation bias"],
    paper: "Sun et al. 2024, ICLR, arXiv 2403.12313",
    leavesClient: "B of every site, the head if it trains, nₖ", visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 200
    training.optimizer.kind = .sgd
    training.learningRate = 0.1
    return training
  }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Whether the head trains and is averaged too; the paper leaves it as it was drawn.
    public var trainsHead = false
    /// Whether to report the aggregation bias, for which the server looks at each update.
    public var reportsBias = true
    public init() {}
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  private var trained: TensorRoles { options.trainsHead ? [.b, .head] : .b }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, trained: trained)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    // 1., 2. B ← Σ pₖBₖ and nothing else; 3. broadcast B
    AveragingServer(
      setting, sends: trained, averages: { [trained] _ in trained },
      reportsBias: options.reportsBias)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let trained: TensorRoles

    func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try load(brief)  // 1. Bₖ ← B beside A₀
      let outcome = try await trainer.train(  // 2. on Dₖ; A₀ is in no optimizer
        LocalWork(of: setting, in: round, on: brief, selects: trained.contains(named:)))
      return Message(  // 4. upload
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
  }
}

public import ApusBase
public import ApusCore
import ApusTorch

/// FedBiOT: clients tune LoRA in the last blocks of a language model, on top of an emulator of the
/// blocks below, which the server keeps aligned with the whole model under the current adapter.
///
/// Two levels of one problem, solved in turns: clients move the adapter A on their own rows, pulled
/// towards what they received, and the server moves the emulator E on public rows so that E under A
/// is what the whole model is under A. E is the lower blocks with a share β of them left out, and
/// LoRA of its own on those that stay.
///
/// Clients are measured with what they can run, the adapter on the emulator (AdapEmu); the global
/// model is the adapter in the whole model (AdapFu), where the emulator's LoRA rests. Every process
/// reads the one checkpoint: left-out blocks are not used by a client, but not hidden from it. The
/// paper counts 30 local steps; here a round is `local-epochs` passes, as in every method. The pull
/// has a gradient, which the reference code loses.
///
/// - State: server, A [r, d_in] and B [d_out, r] of the last blocks, the emulator's LoRA, the whole
///   model and public rows; clients nothing.
/// - Traffic: up, the adapter's factors and nₖ; down, these and the emulator's. The compressed model
///   itself would cross once.
/// - Source: Wu et al., KDD 2024, arXiv 2406.17706; constants of its reference code, ε and λ as in
///   the project's card ("inferred").
public struct FedBiOT: FederatedMethod {
  public static let card = MethodCard(
    name: "FedBiOT", id: "fedbiot", family: .reparameterized,
    summary: "tunes the last blocks on a compressed emulator, which the server keeps aligned",
    challenges: ["closed models", "computational heterogeneity"],
    paper: "Wu et al., KDD 2024, arXiv 2406.17706",
    leavesClient: "A and B of the last blocks, nₖ", visibility: .weightedSum)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.batchSize = 1
    training.learningRate = 5e-4
    training.optimizer.kind = .sgd
    return training
  }

  public static var hasPersonalModels: Bool { true }

  /// What can be chosen beside local training and aggregation.
  public struct Options: MethodOptions {
    /// Last blocks of the model that clients adapt, ≥ 1.
    public var adaptedBlocks = 2
    /// β, share of the other blocks that the emulator leaves out, 0 ≤ β < 1.
    public var dropShare = 0.2
    /// Optimizer steps of the emulator after each round.
    public var alignmentSteps = 10
    /// The same before the first round.
    public var initialSteps = 500
    /// λ ≥ 0, weight of the distance between outputs in an alignment.
    public var divergenceWeight = 0.9
    /// ε ≥ 0, pull of the adapter towards what a client received.
    public var anchorWeight = 1.0
    /// Whether to report the aggregation bias, for which the server looks at each update.
    public var reportsBias = true
    public init() {}

    public func validate() throws(ApusError) {
      try require(
        adaptedBlocks >= 1, "adapted-blocks", "there is no block to adapt",
        remedy: "Give a number ≥ 1, such as 2 or 4")
      try require(
        (0..<1).contains(dropShare), "drop-share", "\(dropShare) is no share below 1",
        remedy: "Give 0 ≤ β < 1, such as 0.2 or 0.5")
      for (name, count) in [
        ("alignment-steps", alignmentSteps), ("initial-steps", initialSteps),
      ] { try require(count >= 0, name, "\(count) is negative", remedy: "Give 0 or more") }
      for (name, weight) in [
        ("divergence-weight", divergenceWeight), ("anchor-weight", anchorWeight),
      ] {
        try require(
          weight >= 0 && weight.isFinite, name, "\(weight) is no weight", remedy: "Give 0 or more")
      }
    }

    var plan: EmulatorPlan { EmulatorPlan(dropShare: dropShare, adaptedBlocks: adaptedBlocks) }
  }

  private let options: Options

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.emulator = options.plan
    return parts
  }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, options: options)
  }

  public func server(_ setting: ServerSetting) throws -> any ServerHalf {
    try Server(setting, options)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options

    func train(on brief: Message, round: Round) async throws -> Message {
      try load(brief)  // 1. A and E
      let anchor = ProductAnchor(setting.factorPairs, strength: options.anchorWeight)
      let outcome = try await setting.trainer.train(  // 2. CE + ε/2·Σ‖s(BA − B′A′)‖², E frozen
        LocalWork(
          of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:),
          hooks: options.anchorWeight > 0 ? [anchor] : []))
      return Message(  // 3. upload
        tensors: setting.trainer.trainables.filtered(.all),
        sampleCount: setting.trainer.sampleCount, outcome: outcome)
    }

    /// AdapEmu.
    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      try setting.trainer.load(brief.tensors)
      var mixture = AdapterMixture()
      mixture.emulator = options.plan
      try setting.trainer.load(mixture)
    }
  }

  private struct Server: ServerHalf {
    let setting: ServerSetting
    let options: Options
    var averaging: AveragingServer
    var emulator: NamedTensors
    var isAligned = false
    var aligner: (any EmulatorAligner)?

    init(_ setting: ServerSetting, _ options: Options) throws {
      guard setting.aligner != nil else {
        throw ApusError(
          .invalidConfig, at: "data.public-rows",
          "the server aligns an emulator on public rows, and has none",
          remedy: "Give a file with data.public-rows.file")
      }
      (self.setting, self.options) = (setting, options)
      averaging = AveragingServer(setting, reportsBias: options.reportsBias)
      emulator = setting.initial.ofAdapter(EmulatorPlan.adapterName)
    }

    /// AdapFu: the emulator's LoRA as it began, which adds nothing.
    var global: NamedTensors { averaging.global }

    mutating func brief(for client: ClientID, round: Round) throws -> Message {
      if !isAligned {  // 0.
        _ = try align(steps: options.initialSteps, setting.random.substream("alignment"))
        isAligned = true
      }
      var brief = averaging.brief(for: client, round: round)
      brief.tensors = brief.tensors.merging(emulator)
      return brief
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      try averaging.absorb(update, from: client, weight: weight, round: round)  // 4. sums
    }

    mutating func finish(round: Round) throws -> Metrics {
      guard averaging.updateCount > 0 else { return [:] }
      let metrics = averaging.finish(round: round)  // 4. Ā, B̄
      let aligned = try align(  // 5. L_rep + λ·L_KL
        steps: options.alignmentSteps, round.random.substream("alignment"))
      return metrics.merging(aligned) { $1 }
    }

    private mutating func align(steps: Int, _ random: RandomStream) throws -> Metrics {
      guard steps > 0, let aligner = try aligner ?? setting.aligner?() else { return [:] }
      self.aligner = aligner
      let found = try aligner.align(
        global.merging(emulator), steps: steps, divergenceWeight: options.divergenceWeight,
        random: random)
      emulator = found.emulator
      return found.metrics
    }

    var snapshot: Snapshot {
      var all = averaging.snapshot
      all.tensors = all.tensors.merging(Snapshot(groups: ["aligned": emulator]).tensors)
      all.fields["is_aligned"] = .int(isAligned ? 1 : 0)
      return all
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      let aligned = try snapshot.group("aligned", like: emulator)
      try averaging.restore(snapshot)
      (emulator, isAligned) = (aligned, snapshot.fields["is_aligned"]?.int == 1)
    }
  }
}

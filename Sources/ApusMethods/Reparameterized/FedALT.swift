import ApusBase
public import ApusCore
import ApusTorch

/// FedALT: each client keeps training its own adapter and only looks at the mean of the others'
/// through a second, frozen one, weighed token by token.
///
/// At each site g = softmax(G·x) in float32 weighs the client's Individual adapter and the
/// Rest-of-World one: y = W₀x + s·(g₁·BᴸAᴸx + g₀·BᴿAᴿx), both behind one dropout mask. Nothing ever
/// overwrites a client's own adapter; there is no model for all, and none that PEFT could hold.
///
/// A and B of the others are averaged separately and all alike, as in the paper, whatever
/// `aggregation` says. A client that the server has not heard of counts for nothing; one that is
/// not drawn counts with what it last sent. In the first round Bᴿ = 0. All clients draw their
/// first Aᴸ alike unless `independent-start` asks for the released code's way. Heads stay private.
///
/// - State: server, the last Individual adapter of every client; each client, its Individual A
///   [r, d_in] and B [d_out, r], G [2, d_in] per site and its head.
/// - Traffic: Σ r(d_in + d_out) parameters up, as many down, another mean for each client; nₖ on the
///   way up.
/// - Source: Bian et al., arXiv 2503.11880; settings of its reference code. Partial participation
///   and the shared start as in the project's card.
public struct FedALT: FederatedMethod {
  public static let card = MethodCard(
    name: "FedALT", id: "fedalt", family: .reparameterized,
    summary: "own adapters, and a gate to the frozen mean of the others'",
    challenges: ["data heterogeneity"], paper: "Bian et al. 2026, AAAI, arXiv 2503.11880",
    leavesClient: "A and B of the client's own adapter, nₖ", visibility: .eachUpdate)

  public static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.localEpochs = 5
    training.batchSize = 8
    training.learningRate = 3e-4
    training.optimizer.weightDecay = 0.05
    training.schedule = .linear
    training.clipNorm = 1
    return training
  }

  public static var hasGlobalModel: Bool { false }

  /// What can be chosen beside local training.
  public struct Options: MethodOptions {
    /// Whether each client draws its first A by itself, as the released code does.
    public var independentStart = false
    public init() {}
  }

  private let options: Options
  private static let rest = "rest"

  public init(_ options: Options) { self.options = options }

  public var modelExtension: ModelExtension {
    var parts = ModelExtension()
    parts.adapters = [.init(Self.rest)]
    parts.hasGate = true
    return parts
  }

  public func isPersonal(_ tensor: String) -> Bool {
    TensorRoles(of: tensor) == .head || AdapterName.of(tensor) == nil
  }

  public func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting, options: options)
  }

  public func server(_ setting: ServerSetting) -> any ServerHalf { Server(setting) }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let options: Options
    var own: PersonalTensors

    init(_ setting: ClientSetting, options: Options) {
      self.setting = setting
      self.options = options
      own = PersonalTensors(
        startingAt: setting.trainer.initial.withoutAdapters([FedALT.rest]))
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try load(brief)  // 1. Aᴿ, Bᴿ, and nothing else, are overwritten
      if own.snapshot.isEmpty, options.independentStart {
        try trainer.load(drawn(round.random(of: setting.id).substream("start")))
      }
      let moving = own.values
      let outcome = try await trainer.train(  // 2. Aᴸ, Bᴸ, G and the head; fresh optimizer
        LocalWork(of: setting, in: round, on: brief, selects: { moving[$0] != nil }))
      own.keep(trainer.trainables)
      return Message(  // 3. upload Aᴸ, Bᴸ
        tensors: trainer.trainables.filtered([.a, .b]), sampleCount: trainer.sampleCount,
        outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try load(brief)
      return try await setting.trainer.evaluate(split)
    }

    private func load(_ brief: Message) throws {
      let trainer = setting.trainer
      try trainer.load(trainer.initial.merging(own.values).merging(brief.tensors))
      try trainer.load(
        AdapterMixture(
          [AdapterName.standard: .init(.gated), FedALT.rest: .init(.gated)], sharesDropout: true))
    }

    /// A of every site, drawn like the first ones.
    private func drawn(_ random: RandomStream) -> NamedTensors {
      var drawn = own.values.filtered(.a)
      for (name, a) in drawn {
        var stream = random.substream(name)
        let bound = 1 / Double(a.size(1)).squareRoot()
        drawn[name] = .uniform(a.shape, low: -bound, high: bound, stream: &stream)
      }
      return drawn
    }

    var snapshot: Snapshot { own.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try own.restore(snapshot) }
  }

  private struct Server: ServerHalf {
    let global: NamedTensors
    let shape: NamedTensors
    /// The last Individual adapter of each client that has sent one.
    var individuals: [Int: NamedTensors] = [:]
    /// The sum of them, in float64 and in client order.
    var total = NamedTensors()

    init(_ setting: ServerSetting) {
      global = setting.initial
      shape = setting.initial.filtered([.a, .b])
    }

    func brief(for client: ClientID, round: Round) -> Message {
      let own = individuals[client.index]
      let others = individuals.count - (own == nil ? 0 : 1)
      guard others > 0 else { return Message() }
      if others == 1, let other = individuals.first(where: { $0.key != client.index }) {
        return Message(tensors: other.value.renamed(toAdapter: FedALT.rest))
      }
      var mean = total  // (T − θₖ) / (K − 1), A and B separately
      for (name, sum) in total {
        let rest = own?[name].map { sum - $0.to(.float64) } ?? sum
        mean[name] = (rest / Double(others)).to(.float32)
      }
      return Message(tensors: mean.renamed(toAdapter: FedALT.rest))
    }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      var checked = WeightedMean(like: shape)
      try checked.absorb(update.tensors, weight: 1, at: "update")
      individuals[client.index] = checked.finish()
    }

    mutating func finish(round: Round) -> Metrics {
      addUp()
      return [:]
    }

    private mutating func addUp() {
      var sums: [String: Tensor] = [:]
      for (_, adapter) in individuals.sorted(by: { $0.key < $1.key }) {
        for (name, tensor) in adapter {
          let value = tensor.to(.float64)
          sums[name] = sums[name].map { $0 + value } ?? value
        }
      }
      total = NamedTensors(sums)
    }

    var snapshot: Snapshot {
      Snapshot(
        groups: Dictionary(uniqueKeysWithValues: individuals.map { ("\($0.key)", $0.value) }))
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      var restored: [Int: NamedTensors] = [:]
      for group in Set(snapshot.tensors.names.map { $0.prefix { $0 != "/" } }) {
        guard let index = Int(group) else {
          throw ApusError(
            .runState, at: "server state", "\"\(group)\" is no client's number",
            remedy: "Resume the run with the method that started it")
        }
        restored[index] = try snapshot.group(String(group), like: shape)
      }
      individuals = restored
      addUp()
    }
  }
}

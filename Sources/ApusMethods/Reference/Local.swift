import ApusBase
public import ApusCore

/// Local: every client trains alone, and nothing is sent.
///
/// The lower reference point of a comparison: a federated method that does not beat it on a
/// client's own data gave that client nothing.
///
/// - State: each client, its trainables; they persist through rounds in which it is not drawn.
/// - Traffic: none; the brief and the update carry no tensor.
public struct Local: FederatedMethod {
  public static let card = MethodCard(
    name: "Local", id: "local", family: .reference,
    summary: "each client trains alone; the lower reference point",
    paper: "reference point", leavesClient: "nothing but the number of rows and the loss",
    visibility: .nothing)

  public static var takesAnyAdapter: Bool { true }

  public static var localTraining: LocalTraining { FedIT.localTraining }

  public static var hasGlobalModel: Bool { false }

  public typealias Options = NoOptions

  public init(_ options: NoOptions) {}

  public func isPersonal(_ tensor: String) -> Bool { true }

  public func client(_ setting: ClientSetting) -> any ClientHalf { Client(setting: setting) }

  public func server(_ setting: ServerSetting) -> any ServerHalf {
    Server(global: setting.initial)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    var personal: PersonalTensors

    init(setting: ClientSetting) {
      self.setting = setting
      personal = PersonalTensors(startingAt: setting.trainer.initial)
    }

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try trainer.load(personal.values)  // 1. what the client had
      let outcome = try await trainer.train(  // 2. on Dₖ, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      personal.keep(trainer.trainables)  // 3. keep it
      return Message(
        tensors: NamedTensors(), sampleCount: trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try setting.trainer.load(personal.values)
      return try await setting.trainer.evaluate(split)
    }

    func ownAdapter(beside brief: Message, round: Round) -> NamedTensors? { personal.values }

    var snapshot: Snapshot { personal.snapshot }

    mutating func restore(_ snapshot: Snapshot) throws { try personal.restore(snapshot) }
  }

  /// Knows only the start values, which are what it has to offer as a global model.
  private struct Server: ServerHalf {
    let global: NamedTensors

    func brief(for client: ClientID, round: Round) -> Message { Message() }

    func absorb(_ update: Message, from client: ClientID, weight: Double, round: Round) throws {
      try update.tensors.requireShapes(of: NamedTensors(), at: "update")
    }

    func finish(round: Round) -> Metrics { [:] }

    var snapshot: Snapshot { Snapshot() }

    func restore(_ snapshot: Snapshot) throws {
      guard !snapshot.isEmpty else { return }
      throw ApusError(
        .runState, at: "server state", "Local keeps no state on the server, but there is some",
        remedy: "Resume the run with the method that started it")
    }
  }
}

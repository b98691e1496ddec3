import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import Foundation

/// The smallest engine there can be: one client after another, every message through its bytes.
final class ToyFederation {
  let method: any FederatedMethod
  let trainers: [ToyTrainer]
  private(set) var server: any ServerHalf
  private var clients: [(id: ClientID, half: any ClientHalf)]
  private let aggregation: Aggregation
  private let root = RandomStream(seed: 3)

  /// The last update of every client, as it was sent.
  private(set) var updates: [Int: Message] = [:]
  /// Metrics of each round so far.
  private(set) var metrics: [Metrics] = []

  /// A federation of these clients; with `sameSeed` all of them draw as the first one does.
  init(
    _ method: any FederatedMethod, trainers given: [ToyTrainer]? = nil,
    training: LocalTraining = ToyFederation.training, aggregation: Aggregation = Aggregation(),
    sameSeed: Bool = false,
    device: @escaping @Sendable (ClientID) -> DeviceTraits = { _ in .ideal }
  ) throws {
    self.method = method
    let trainers = given ?? Self.makeTrainers(for: method)
    self.trainers = trainers
    self.aggregation = aggregation
    server = try method.server(
      ServerSetting(
        initial: trainers[0].initial, factorPairs: ToyTrainer.pairs, aggregation: aggregation,
        random: root.substream("server"), weights: trainers[0].frozen, device: device,
        aligner: { ToyAligner() }))
    clients = try trainers.enumerated().map { index, trainer in
      let id = ClientID(index: sameSeed ? 0 : index, name: "client \(index)")
      return (
        id,
        try method.client(
          ClientSetting(
            id: id, trainer: trainer, training: training, factorPairs: ToyTrainer.pairs,
            device: device(id)))
      )
    }
  }

  /// Clients with 4, 7 and 10 rows, or as many as these numbers.
  static func makeTrainers(
    for method: (any FederatedMethod)? = nil, clients: Range<Int> = 0..<3
  ) -> [ToyTrainer] {
    clients.map {
      ToyTrainer(
        client: $0, rows: 4 + 3 * $0,
        modelExtension: method?.modelExtension ?? ModelExtension())
    }
  }

  /// Two epochs of AdamW on batches of three rows.
  static var training: LocalTraining {
    var training = FedIT.localTraining
    training.localEpochs = 2
    training.batchSize = 3
    training.learningRate = 0.05
    return training
  }

  /// Plays rounds with all clients or some of them.
  func run(_ rounds: Range<Int>, cohort: [Int]? = nil, stepLimit: Int? = nil) async throws {
    for index in rounds {
      let round = Round(index: index, total: 10, root: root)
      for client in cohort ?? Array(clients.indices) {
        let update = try await updates(of: client, round, stepLimit)
        updates[client] = update
        try server.absorb(
          update, from: clients[client].id,
          weight: aggregation.weight(sampleCount: update.sampleCount ?? 0), round: round)
      }
      metrics.append(try server.finish(round: round))
    }
  }

  private func updates(of client: Int, _ round: Round, _ limit: Int?) async throws -> Message {
    var brief = try server.brief(for: clients[client].id, round: round)
    if let limit { brief.fields[Message.stepLimitKey] = .int(limit) }
    let received = try Message(encoded: brief.encoded(), at: "brief")
    let update = try await clients[client].half.train(on: received, round: round)
    return try Message(encoded: update.encoded(), at: "update")
  }

  /// What one client's model measures now.
  func evaluate(_ client: Int) async throws -> Metrics {
    let round = Round(index: 9, total: 10, root: root)
    let brief = try server.brief(for: clients[client].id, round: round)
    return try await clients[client].half.evaluate(on: brief, split: .test, round: round)
  }

  /// What one client keeps to itself.
  func personal(_ client: Int) -> NamedTensors { clients[client].half.snapshot.tensors }

  /// What the server would send to one client now.
  func brief(_ client: Int) throws -> Message {
    try server.brief(for: clients[client].id, round: Round(index: 9, total: 10, root: root))
  }

  /// Lets `body` work on the server in a round of this index, which no client sees.
  func withServer<Result>(
    in round: Int = 9, _ body: (inout any ServerHalf, ClientID, Round) throws -> Result
  ) rethrows -> Result {
    try body(&server, clients[0].id, Round(index: round, total: 10, root: root))
  }

  /// Snapshots of the server and of all clients, as bytes.
  func stored() throws -> [Data] {
    try [server.snapshot.encoded()] + clients.map { try $0.half.snapshot.encoded() }
  }

  /// Goes on from snapshots that another federation of the same making stored.
  func restore(_ stored: [Data]) throws {
    try server.restore(Snapshot(encoded: stored[0], at: "server"))
    for index in clients.indices {
      let snapshot = try Snapshot(encoded: stored[index + 1], at: "client \(index)")
      try clients[index].half.restore(snapshot)
    }
  }
}

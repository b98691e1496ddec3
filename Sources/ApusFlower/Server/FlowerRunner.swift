import ApusBase
public import ApusCore
public import ApusSimulation
public import Foundation

/// Runs clients behind the SuperNodes of a Flower federation.
///
/// The round loop, its checks, its store and its resuming are those of the in-process engine; this is
/// only where the clients are. The global model is measured on this machine.
public struct FlowerRunner: ClientRunner {
  public let workers: Int
  private let local: any ClientRunner
  private let link: FlowerLink

  init(_ link: FlowerLink, clients: Int, local: any ClientRunner) {
    self.link = link
    workers = clients
    self.local = local
  }

  /// Place, name and number of training rows of every client, once all have joined.
  ///
  /// - Throws: ``ApusError`` `.runState` if one does not join before the deadline.
  public func introductions() async throws -> [(id: ClientID, sampleCount: Int)] {
    var found: [(id: ClientID, sampleCount: Int)] = []
    for index in 0..<workers {
      _ = try await link.roster.node(
        of: index, by: .now + link.deadline, place: "client \(index)")
      guard let known = await link.roster.introduction(of: index) else { continue }
      found.append((ClientID(index: index, name: known.name), known.sampleCount))
    }
    return found
  }

  public func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let place = "round \(round.index), \(client)"
    switch link.dialect {
    case .apus:
      let frame = try WorkerFrame.train(client, brief: brief, round: round, state: state)
      let answer = try await link.exchange(frame, "train.apus", client, round, place)
      return try Self.plainly { try answer.clientAnswer() }
    case .arrays:
      let message = try Message(encoded: brief, at: place)
      let reply = try await link.ask(
        ArrayContent.instruction(message, round: round.index), "train", client, round, place)
      let update = try ArrayContent.update(reply, at: place)
      return ClientAnswer(update: try update.encoded(), state: nil)
    }
  }

  public func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    let place = "evaluation after round \(round.index), \(client)"
    switch link.dialect {
    case .apus:
      let frame = try WorkerFrame.evaluate(
        client, brief: brief, split: split, round: round, state: state)
      let answer = try await link.exchange(frame, "evaluate.apus", client, round, place)
      return try Self.plainly { try answer.numbers() }
    case .arrays:
      let message = try Message(encoded: brief, at: place)
      let reply = try await link.ask(
        ArrayContent.instruction(message, round: round.index), "evaluate", client, round, place)
      return reply.metrics.compactMapValues(\.double).filter { $0.key != ArrayContent.countKey }
    }
  }

  /// Throws what a client threw, in words that a terminal may show.
  private static func plainly<Answer>(_ answer: () throws -> Answer) throws -> Answer {
    do { return try answer() } catch let error as ApusError {
      throw ApusError(
        error.code, at: error.location.asPeerText, error.problem.asPeerText,
        remedy: error.remedy.asPeerText)
    }
  }

  public func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    try await local.evaluate(global: global, split: split, shard: shard, of: shards)
  }
}

import ApusBase
package import ApusCore
package import Foundation

/// The calls of a ``ClientRunner`` as frames, for runners whose clients are elsewhere.
extension WorkerFrame {
  /// Asks for one client's local phase.
  package static func train(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) throws -> WorkerFrame {
    try WorkerFrame(head: WorkerRequest.train(client, .init(round)), parts: parts(brief, state))
  }

  /// Asks for a measurement of the model that one client would use.
  package static func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) throws -> WorkerFrame {
    try WorkerFrame(
      head: WorkerRequest.evaluateClient(client, split, .init(round)), parts: parts(brief, state))
  }

  /// Asks for a measurement of the global model on one part of a split.
  static func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) throws -> WorkerFrame {
    try WorkerFrame(
      head: WorkerRequest.evaluateGlobal(split, shard: shard, shards: shards), parts: [global])
  }

  private static func parts(_ brief: Data, _ state: Data?) -> [Data] {
    [brief] + (state.map { [$0] } ?? [])
  }

  /// Whether this asks for a client's local phase.
  package var asksToTrain: Bool {
    if case .train? = try? decoded(WorkerRequest.self) { true } else { false }
  }

  /// Index of the client that is asked; nil if none is.
  package var askedClient: Int? {
    switch try? decoded(WorkerRequest.self) {
    case .train(let client, _)?, .evaluateClient(let client, _, _)?: client.index
    default: nil
    }
  }

  /// The answer to ``train(_:brief:round:state:)``; throws what the client threw.
  package func clientAnswer() throws -> ClientAnswer {
    guard case .trained = try reply(), let update = parts.first else { throw unexpected }
    return ClientAnswer(update: update, state: parts.dropFirst().first)
  }

  /// The answer to a measurement; throws what the client threw.
  package func numbers() throws -> [String: Double] {
    guard case .numbers(let bits) = try reply() else { throw unexpected }
    return bits.mapValues { Double(bitPattern: $0) }
  }

  private func reply() throws -> WorkerReply {
    let reply = try decoded(WorkerReply.self)
    if case .failed(let failure) = reply { throw failure.error }
    return reply
  }

  private var unexpected: ApusError {
    ApusError(
      .invalidMessage, at: "client worker", "it answered another question",
      remedy: "Use one version of Apus on both sides")
  }
}

extension ClientRunner {
  /// Does what a frame asks for; what goes wrong is an answer, too.
  ///
  /// - Parameters:
  ///   - frame: A request.
  ///   - seed: The run's seed, from which the streams of a round follow.
  /// - Returns: The answer.
  package func answer(_ frame: WorkerFrame, seed: UInt64) async -> WorkerFrame {
    do { return try await result(frame, seed: seed) } catch {
      let failure = try? WorkerFrame(head: WorkerReply.failed(.init(error)), parts: [])
      return failure ?? WorkerFrame(head: Data(), parts: [])
    }
  }

  private func result(_ frame: WorkerFrame, seed: UInt64) async throws -> WorkerFrame {
    let state = frame.parts.dropFirst().first
    switch try frame.decoded(WorkerRequest.self) {
    case .begin:
      throw ApusError(
        .invalidMessage, at: "client worker", "the run began twice",
        remedy: "Use one version of Apus on both sides")
    case .train(let client, let moment):
      let answer = try await run(
        client, brief: frame.part(0), round: moment.round(seed: seed), state: state)
      return try WorkerFrame(
        head: WorkerReply.trained, parts: [answer.update] + (answer.state.map { [$0] } ?? []))
    case .evaluateClient(let client, let split, let moment):
      return try numbers(
        await evaluate(
          client, brief: frame.part(0), split: split, round: moment.round(seed: seed), state: state)
      )
    case .evaluateGlobal(let split, let shard, let shards):
      return try numbers(
        await evaluate(global: frame.part(0), split: split, shard: shard, of: shards))
    }
  }

  private func numbers(_ values: [String: Double]) throws -> WorkerFrame {
    try WorkerFrame(head: WorkerReply.numbers(values.mapValues(\.bitPattern)), parts: [])
  }
}

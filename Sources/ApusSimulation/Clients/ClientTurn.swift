import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// One call on a host, from bytes to bytes: the same in a thread and in a process.
struct ClientTurn {
  let host: any ClientHost

  func train(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let place = "round \(round.index), \(client)"
    return try await checked(place) {
      let message = try Message(encoded: brief, at: place)
      var half = try restored(client, state, at: place)
      let update = try await half.train(on: message, round: round)
      let snapshot = half.snapshot
      return ClientAnswer(
        update: try update.encoded(), state: snapshot.isEmpty ? nil : try snapshot.encoded())
    }
  }

  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    let place = "evaluation after round \(round.index), \(client)"
    return try await checked(place) {
      let message = try Message(encoded: brief, at: place)
      var half = try restored(client, state, at: place)
      return try await half.evaluate(on: message, split: split, round: round)
    }
  }

  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    let place = "evaluation on \(split.rawValue)"
    return try await checked(place) {
      let tensors = try Message(encoded: global, at: place).tensors
      return try await host.evaluate(tensors, split: split, shard: shard, of: shards)
    }
  }

  private func restored(
    _ client: ClientID, _ state: Data?, at place: String
  ) throws -> any ClientHalf {
    var half = try host.half(of: client)
    if let state { try half.restore(Snapshot(encoded: state, at: "\(place), state")) }
    return half
  }

  /// The result, unless a tensor operation failed on the way; either way none stays recorded.
  private func checked<Result>(
    _ place: String, _ body: () async throws -> Result
  ) async throws -> Result {
    do {
      let result = try await body()
      try Tensor.check(place)
      return result
    } catch {
      try Tensor.check(place)
      throw error
    }
  }
}

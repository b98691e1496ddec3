import ApusCore
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Synchronization
import Testing

@Suite struct SameBitsLaws {
  @Test(arguments: [1, 2, 4], [ServerOptimizerConfiguration.Kind.fedavg, .fedadam])
  func `the number of workers changes no bit`(
    workers: Int, server: ServerOptimizerConfiguration.Kind
  ) async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.server = server
    federation.options.evaluation.clientSplits = [.test]
    try await federation.run(in: folder("one"), workers: 1)
    try await federation.run(in: folder("many"), workers: workers)
    let (one, many) = (
      try Fingerprint(folder("one"), clients: 9), try Fingerprint(folder("many"), clients: 9)
    )
    #expect(one == many)
    #expect(one.rounds.count == 4)
    #expect(one.rounds.allSatisfy { $0.updates == 5 })
    #expect(one.states.contains { $0 != nil })
  }

  @Test(arguments: 0..<4)
  func `who arrives first changes no bit`(slow: Int) async throws {
    let folder = try TemporaryFolder()
    let federation = ToyFederation()
    try await federation.run(in: folder("plain"), workers: 1)
    let runner = HeldRunner(
      inner: try InProcessRunner(workers: 4, host: federation.hosts.factory), workers: 2,
      heldTurn: slow, others: 3)
    let outcome = try await federation.run(in: folder("held"), runner: runner)
    #expect(
      try Fingerprint(folder("plain"), clients: 9) == Fingerprint(folder("held"), clients: 9))
    #expect(outcome.mostWaiting <= 16)
  }

  @Test func `a slow client lets only the window run ahead`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.clientCount = 60
    federation.options.rounds = 1
    federation.options.sampling.cohortSize = 60
    let runner = HeldRunner(
      inner: try InProcessRunner(workers: 4, host: federation.hosts.factory), workers: 2,
      heldTurn: 0, others: 15)
    let outcome = try await federation.run(in: folder("run"), runner: runner)
    // Eight for each worker: the held one and fifteen others; the next begins once the first is
    // taken.
    #expect(runner.begunWhileHeld == 16)
    #expect(outcome.mostWaiting <= 16)
    #expect(try RunArchive(folder("run")).rounds()[0].updates == 60)
  }

  @Test func `reported bytes are the lengths of what was encoded`() async throws {
    let folder = try TemporaryFolder()
    let federation = ToyFederation()
    let runner = CountingRunner(
      inner: try InProcessRunner(workers: 2, host: federation.hosts.factory))
    try await federation.run(in: folder("run"), runner: runner)
    let rounds = try RunArchive(folder("run")).rounds()
    let (down, up) = runner.bytes.withLock { ($0.down, $0.up) }
    #expect(down > 0 && up > 0)
    #expect(rounds.reduce(0) { $0 + $1.downlinkBytes } == down)
    #expect(rounds.reduce(0) { $0 + $1.uplinkBytes } == up)
  }
}

/// Lets one turn of each group wait until the others are done.
final class HeldRunner: ClientRunner {
  let workers: Int
  private let inner: InProcessRunner
  private let heldTurn: Int
  private let others: Int
  private let gate = Mutex(Gate())

  private struct Gate {
    var begun = 0
    var done = 0
    var held: CheckedContinuation<Void, Never>?
    var begunWhileHeld = 0
  }

  init(inner: InProcessRunner, workers: Int, heldTurn: Int, others: Int) {
    self.inner = inner
    self.workers = workers
    self.heldTurn = heldTurn
    self.others = others
  }

  var begunWhileHeld: Int { gate.withLock { $0.begunWhileHeld } }

  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let turn = gate.withLock { gate in
      defer { gate.begun += 1 }
      return gate.begun
    }
    let answer = try await inner.run(client, brief: brief, round: round, state: state)
    if turn == heldTurn {
      await withCheckedContinuation { continuation in
        let isReady = gate.withLock { gate in
          if gate.done < others { gate.held = continuation }
          return gate.done >= others
        }
        if isReady { continuation.resume() }
      }
      gate.withLock { $0.begunWhileHeld = $0.begun }
    } else {
      gate.withLock { gate in
        gate.done += 1
        guard gate.done >= others else { return }
        gate.held?.resume()
        gate.held = nil
      }
    }
    return answer
  }

  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    try await inner.evaluate(client, brief: brief, split: split, round: round, state: state)
  }

  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    try await inner.evaluate(global: global, split: split, shard: shard, of: shards)
  }
}

/// Counts what goes through.
final class CountingRunner: ClientRunner {
  let bytes = Mutex((down: 0, up: 0))
  private let inner: InProcessRunner

  init(inner: InProcessRunner) { self.inner = inner }

  var workers: Int { inner.workers }

  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let answer = try await inner.run(client, brief: brief, round: round, state: state)
    bytes.withLock {
      $0.down += brief.count
      $0.up += answer.update.count
    }
    return answer
  }

  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    try await inner.evaluate(client, brief: brief, split: split, round: round, state: state)
  }

  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    try await inner.evaluate(global: global, split: split, shard: shard, of: shards)
  }
}

import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import Foundation
import Testing

@Suite struct RefusalLaws {
  @Test(arguments: [ToyMethod.Fault.nan, .misshaped, .throwing, .tensorFailure])
  func `a client's fault is named and costs its update only`(fault: ToyMethod.Fault) async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.clientCount = 5
    federation.hosts.faults = [3: fault]
    try await federation.run(in: folder("run"))
    let archive = try RunArchive(folder("run"))
    let rounds = try archive.rounds()
    #expect(rounds.map(\.updates) == [4, 4, 4, 4])
    let client = rounds[1].clients[3]
    #expect(client.client.name == "client 3")
    #expect(
      client.status == (fault == .throwing || fault == .tensorFailure ? .failed : .refused))
    #expect(client.weight == 0)
    let events = try archive.events().filter { $0.round == 1 }
    #expect(events.map(\.client) == ["client 3"])
    let expected =
      switch fault {
      case .nan: "round 1, client 3, head.weight: the update holds NaN"
      case .misshaped: "round 1, client 3, head.weight: expected shape [3, 1], got [4, 1]"
      case .tensorFailure: "round 1, client 3"
      default: "Broken"
      }
    #expect(events[0].text.hasPrefix(expected))
    #expect(try archive.clientState(of: 3) == nil)
    #expect(try archive.clientState(of: 2) != nil)
  }

  @Test func `bytes that are no message are refused`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.options.rounds = 1
    federation.clientCount = 3
    let runner = GarblingRunner(
      inner: try InProcessRunner(workers: 2, host: federation.hosts.factory), client: 1)
    try await federation.run(in: folder("run"), runner: runner)
    let round = try #require(try RunArchive(folder("run")).rounds().first)
    #expect(round.clients.map(\.status) == [.used, .refused, .used])
    #expect(round.clients[1].reason?.hasPrefix("round 0, client 1") == true)
    #expect(round.clients[1].uplinkBytes == 10)
  }

  @Test func `a refused client leaves the round as if it had not been drawn`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.options.rounds = 2
    federation.options.sampling.kind = .fixed
    federation.options.sampling.cohortFile = folder("with.json").path
    try Data("[[0,1,2],[0,1,2]]".utf8).write(to: folder("with.json"))
    try Data("[[0,2],[0,2]]".utf8).write(to: folder("without.json"))
    federation.hosts.faults = [1: .misshaped]
    try await federation.run(in: folder("with"))
    federation.options.sampling.cohortFile = folder("without.json").path
    try await federation.run(in: folder("without"))
    let (with, without) = (
      try Fingerprint(folder("with"), clients: 9), try Fingerprint(folder("without"), clients: 9)
    )
    #expect(with.snapshot == without.snapshot)
    #expect(with.states == without.states)
  }

  @Test func `a round with too few updates ends the run where it can go on`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.clientCount = 3
    federation.options.minimumUpdates = 3
    try await federation.run(in: folder("healthy"))
    var broken = federation
    broken.hosts.faults = [2: .throwing]
    let error = await #expect(throws: ApusError.self) { try await broken.run(in: folder("run")) }
    #expect(error?.code == .runState)
    #expect(error?.description.contains("2 updates came, 3 are needed") == true)
    #expect(error?.description.contains("client 2") == true)
    try await federation.run(in: folder("run"))
    #expect(
      try Fingerprint(folder("healthy"), clients: 3) == Fingerprint(folder("run"), clients: 3))
  }

  @Test func `silent failures are said aloud`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.clientCount = 4
    federation.options.rounds = 1
    federation.empty = [3]
    federation.hosts.faults = [1: .unmoved, 2: .zeros]
    federation.serverChanges = false
    try await federation.run(in: folder("run"))
    let events = try RunArchive(folder("run")).events()
    let lines = events.map { "\($0.client ?? "-"): \($0.text)" }
    #expect(
      lines == [
        "client 3: round 0, client 3: the client has no training rows. "
          + "Give every client data, or leave it out of the federation.",
        "client 1: the update is the brief itself; training moved nothing",
        "client 2: the update holds nothing but zeros",
        "-: the round changed nothing on the server",
      ])
  }
}

/// Replaces one client's update by ten bytes.
struct GarblingRunner: ClientRunner {
  let inner: InProcessRunner
  let client: Int

  var workers: Int { inner.workers }

  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let answer = try await inner.run(client, brief: brief, round: round, state: state)
    guard client.index == self.client else { return answer }
    return ClientAnswer(update: Data(repeating: 7, count: 10), state: answer.state)
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

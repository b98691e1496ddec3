import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusSimulation

@Suite struct ClientStateLaws {
  @Test(arguments: [0, 1 << 20])
  func `a state survives rounds without its client, bit for bit`(memory: Int) async throws {
    let folder = try TemporaryFolder()
    try Data("[[0,1],[2,3],[2,3],[3,4],[0,4]]".utf8).write(to: folder("cohorts.json"))
    var federation = ToyFederation()
    federation.options.rounds = 5
    federation.options.sampling.kind = .fixed
    federation.options.sampling.cohortFile = folder("cohorts.json").path
    federation.options.stateMemoryBytes = memory
    let run = folder("run")
    try await federation.run(in: run)
    let archive = try RunArchive(run)
    let visits = try (0..<5).map { client in
      try archive.clientState(of: client).map {
        try Snapshot(encoded: $0, at: "test").fields["visits"]?.int
      }
    }
    #expect(visits == [2, 1, 2, 3, 2])
    #expect(try archive.clientState(of: 7) == nil)
  }

  @Test(arguments: 0..<20)
  func `the store is a dictionary whose last commit survives`(seed: Int) throws {
    let folder = try TemporaryFolder()
    var stream = RandomStream(seed: 3).substream("case", seed)
    var model: [Int: Data] = [:]
    var places: [Int: ClientStateStore.Place] = [:]
    let budget = [0, 500, 1 << 20][stream.integer(below: 3)]
    var store = ClientStateStore(folder: folder.url, places: places, memoryBudget: budget)
    for round in 0..<40 {
      var staged: [Int: Data?] = [:]
      for _ in 0..<stream.integer(below: 6) {
        let client = stream.integer(below: 12)
        let bytes = Data((0..<stream.integer(below: 200)).map { _ in UInt8(stream.next() & 255) })
        let state = stream.uniform() < 0.1 ? nil : bytes
        try store.stage(state, for: client, round: round)
        staged[client] = .some(state)
      }
      if stream.uniform() < 0.2 {
        // A crash before the commit.
        store = ClientStateStore(folder: folder.url, places: places, memoryBudget: budget)
        continue
      }
      for (client, place) in try store.seal(round: round) { places[client] = place }
      if stream.uniform() < 0.2 {
        // A crash after the index was committed, before the cleaning up.
        store = ClientStateStore(folder: folder.url, places: places, memoryBudget: budget)
      } else {
        store.commit()
      }
      for (client, bytes) in staged { model[client] = bytes }
      for client in 0..<12 { #expect(try store.state(of: client) == model[client]) }
      #expect(store.bytesInMemory <= budget)
    }
  }

  @Test func `dead states do not pile up on the disk`() throws {
    let folder = try TemporaryFolder()
    var places: [Int: ClientStateStore.Place] = [:]
    let store = ClientStateStore(folder: folder.url, places: places, memoryBudget: 0)
    let block = Data(repeating: 1, count: 64 << 10)
    for client in 0..<64 { try store.stage(block, for: client, round: 0) }
    for (client, place) in try store.seal(round: 0) { places[client] = place }
    store.commit()
    for round in 1..<200 {
      for client in 0..<8 { try store.stage(block, for: client + round % 50, round: round) }
      _ = try store.seal(round: round)
      store.commit()
      #expect(store.bytesOnDisk <= 3 * 64 * block.count + 1 << 20)
    }
    for client in 0..<64 { #expect(try store.state(of: client) == block) }
  }

  @Test func `ten thousand clients keep their states within the memory's bound`() async throws {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      var federation = ToyFederation()
      federation.clientCount = 10_000
      federation.options.rounds = 1
      federation.options.sampling.cohortSize = 10_000
      federation.options.stateMemoryBytes = 64 << 10
      federation.options.evaluation.every = 0
      federation.hosts.localSteps = 1
      let before = ProcessMemory.resident
      let outcome = try await federation.run(in: folder("run"))
      #expect(outcome.mostWaiting <= 16)
      #expect(ProcessMemory.resident - before < 128 << 20)
      let archive = try RunArchive(folder("run"))
      #expect(try archive.rounds().map(\.updates) == [10_000])
      for client in [0, 4_999, 9_999] {
        let state = try #require(try archive.clientState(of: client))
        #expect(try Snapshot(encoded: state, at: "test").fields["visits"]?.int == 1)
      }
    }
  }
}

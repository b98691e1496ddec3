import ApusBase
import ApusCore
import ApusTestSupport
import Foundation
import GRDB
import Testing

@testable import ApusSimulation

@Suite struct RunStoreLaws {
  private let description = RunDescription(
    configuration: ["method": "toy", "training.learning-rate": "0.1"], seed: 5)

  private func error(_ body: () throws -> Void) -> ApusError? {
    #expect(throws: ApusError.self) { try body() }
  }

  @Test func `every commit waits for the disk`() throws {
    let folder = try TemporaryFolder()
    let store = try RunStore.create(at: folder("run"), description)
    #expect(try store.database.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") } == 2)
    #expect(
      try store.database.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
  }

  @Test func `a run in use is refused, also for the process that uses it`() throws {
    let folder = try TemporaryFolder()
    let store = try RunStore.create(at: folder("run"), description)
    let refused = error { _ = try RunStore.resume(at: folder("run"), description) }
    #expect(refused?.code == .runState)
    #expect(refused?.problem.contains("process \(getpid())") == true)
    withExtendedLifetime(store) {}
  }

  @Test func `another configuration is refused by its first differing key`() throws {
    let folder = try TemporaryFolder()
    _ = try RunStore.create(at: folder("run"), description)
    let other = RunDescription(
      configuration: ["method": "toy", "training.learning-rate": "0.2", "zeta": "1"], seed: 5)
    let refused = error { _ = try RunStore.resume(at: folder("run"), other) }
    #expect(refused?.location.hasSuffix("training.learning-rate") == true)
    #expect(refused?.problem == "the run was begun with 0.1 and is now given 0.2")
    let seeded = RunDescription(configuration: description.configuration, seed: 6)
    #expect(
      error { _ = try RunStore.resume(at: folder("run"), seeded) }?.location.hasSuffix("seed")
        == true)
    _ = try RunStore.resume(at: folder("run"), description)
  }

  @Test func `a run is not begun twice, nor resumed before it began`() throws {
    let folder = try TemporaryFolder()
    #expect(
      error { _ = try RunStore.resume(at: folder("run"), description) }?.problem
        == "there is no run to go on with")
    _ = try RunStore.create(at: folder("run"), description)
    #expect(
      error { _ = try RunStore.create(at: folder("run"), description) }?.problem
        == "there is a run already")
  }

  @Test func `a folder that cannot be made is an error`() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: folder("file"))
    let refused = error {
      _ = try RunStore.create(at: folder("file").appendingPathComponent("run"), description)
    }
    #expect(refused?.code == .fileAccess)
  }

  @Test(arguments: [0, 64, 10_000])
  func `briefs come back from memory and from the disk`(budget: Int) throws {
    let folder = try TemporaryFolder()
    let spool = BriefSpool(budget: budget, folder: folder.url)
    let briefs = (0..<40).map { Data(repeating: UInt8($0 / 3), count: 20 + $0 / 6) }
    for brief in briefs { try spool.append(brief) }
    for index in briefs.indices.reversed() { #expect(try spool.brief(index) == briefs[index]) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
  }

  @Test func `other versions are noted`() throws {
    let folder = try TemporaryFolder()
    _ = try RunStore.create(at: folder("run"), description)
    let newer = RunDescription(
      configuration: description.configuration, seed: 5, versions: ["libtorch": "9"])
    _ = try RunStore.resume(at: folder("run"), newer)
    #expect(try RunArchive(folder("run")).events().map(\.text).last?.contains("libtorch") == true)
  }

  @Test(arguments: [0, 3_000, 20_000])
  func `a damaged database is an error that says so`(position: Int) async throws {
    let folder = try TemporaryFolder()
    try await ToyFederation().run(in: folder("run"))
    let file = folder("run").appendingPathComponent("run.sqlite")
    var bytes = try Data(contentsOf: file)
    bytes.replaceSubrange(
      position..<(position + 4_000), with: Data((0..<4_000).map { UInt8($0 * 7 & 255) }))
    try bytes.write(to: file)
    let refused = error { _ = try RunStore.resume(at: folder("run"), ToyFederation().description) }
    #expect(refused?.code == .invalidFile)
    #expect(refused?.problem.contains("damaged") == true)
  }

  @Test func `a full disk stops the run and leaves earlier rounds whole`() async throws {
    let folder = try TemporaryFolder()
    try await ToyFederation().run(in: folder("whole"))
    let path = folder("full").path
    await #expect(processExitsWith: .success) { [path = path as String] in
      // Files of this process may not grow beyond the limit, which stands for a full disk.
      signal(SIGXFSZ, SIG_IGN)
      var isCaught = false
      do {
        try await ToyFederation().run(in: URL(fileURLWithPath: path)) { event in
          guard case .roundBegan(2, _, _) = event else { return }
          var limit = rlimit(rlim_cur: 600, rlim_max: rlim_t.max)
          setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        }
      } catch let error as ApusError {
        isCaught = error.code == .fileAccess && error.remedy.contains("space is left")
      }
      exit(isCaught ? 0 : 1)
    }
    #expect(try RunArchive(folder("full")).rounds().count == 2)
    try await ToyFederation().run(in: folder("full"))
    #expect(
      try Fingerprint(folder("whole"), clients: 9) == Fingerprint(folder("full"), clients: 9))
  }

  @Test func `the last checkpoints and the best one are kept`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.options.rounds = 8
    federation.retention.bestBy = "global/test loss"
    federation.retention.greaterIsBetter = false
    try await federation.run(in: folder("run"))
    let archive = try RunArchive(folder("run"))
    let losses = try archive.metrics().filter { $0.scope == "global/test" }.map(\.value)
    let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
    #expect(losses.count == 8)
    #expect(try archive.bestRound() == best)
    #expect(try archive.checkpoints() == Set([best, 6, 7]).sorted())
    let files = try FileManager.default.contentsOfDirectory(
      atPath: folder("run").appendingPathComponent("checkpoints").path)
    #expect(files.count == Set([best, 6, 7]).count)
    #expect(try !archive.snapshot(after: 7).isEmpty)
  }

  @Test func `records, metrics and events come back as they went in`() throws {
    let folder = try TemporaryFolder()
    let store = try RunStore.create(at: folder("run"), description)
    var record = RoundRecord(index: 0)
    record.virtualSeconds = 1.5
    for status in ClientRecord.Status.allCases {
      var client = ClientRecord(
        client: ClientID(index: record.clients.count, name: "Ä, \"\(status)\""), status: status,
        downlinkBytes: 10)
      client.loss = record.clients.isEmpty ? nil : 0.1
      client.reason = record.clients.isEmpty ? "why" : nil
      client.uplinkBytes = 7
      record.clients.append(client)
    }
    let metrics = [
      MetricRow(round: 0, scope: "server", metric: "a", value: 0.1),
      MetricRow(round: 0, scope: "client/test", client: "x,\"y\"\n", metric: "b", value: .infinity),
    ]
    let events = RunEvent.Kind.allCases.map { RunEvent(round: 0, client: "c", kind: $0, text: "t") }
    try store.commit(
      RoundCommit(record: record, metrics: metrics, events: events, snapshot: Data([1])),
      states: store.openStates(memoryBudget: 0))
    let archive = try RunArchive(folder("run"))
    #expect(try archive.rounds() == [record])
    #expect(try archive.metrics() == metrics)
    #expect(try archive.events() == events)
    #expect(
      MetricExport.csv(metrics) == """
        round,scope,client,metric,value
        0,server,,a,0.1
        0,client/test,"x,""y""
        ",b,inf

        """)
    #expect(
      try MetricExport.jsonLines(metrics) == #"""
        {"metric":"a","round":0,"scope":"server","value":0.1}
        {"client":"x,\"y\"\n","metric":"b","round":0,"scope":"client/test"}

        """#)
  }

  @Test func `the spread over clients`() throws {
    let spread = try #require(ClientSpread([1, 0.5, 0.5, 0], lowerIsBetter: false))
    #expect(spread.mean == 0.5 && spread.worst == 0 && spread.worstTenth == 0)
    #expect(spread.deviation == 0.125.squareRoot())
    #expect(spread.jain == 4.0 / 6)
    #expect(ClientSpread([2, 2], lowerIsBetter: true)?.jain == 1)
    #expect(ClientSpread([2, 3], lowerIsBetter: true)?.worst == 3)
    #expect(ClientSpread([], lowerIsBetter: true) == nil)
  }
}

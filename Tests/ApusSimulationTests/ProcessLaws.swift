import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct ProcessLaws {
  @Test(arguments: [1, 2])
  func `processes give the bits of threads`(workers: Int) async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.options.rounds = 2
    federation.options.evaluation.clientSplits = [.validation]
    try await federation.run(in: folder("threads"))
    let runner = try ProcessRunner(
      workers: workers, seed: federation.seed, command: toyWorker(federation.hosts))
    try await federation.run(in: folder("processes"), runner: runner)
    #expect(
      try Fingerprint(folder("threads"), clients: 9)
        == Fingerprint(folder("processes"), clients: 9))
  }

  @Test(arguments: [
    (ToyMethod.Fault.crash, "ended with status 3"), (.killed, "was ended by signal 9"),
  ])
  func `a process that dies costs one client and is started again`(
    fault: ToyMethod.Fault, end: String
  ) async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.clientCount = 4
    federation.options.rounds = 2
    federation.hosts.faults = [0: fault, 2: .throwing, 3: .nan]
    let runner = try ProcessRunner(
      workers: 1, seed: federation.seed, command: toyWorker(federation.hosts))
    try await federation.run(in: folder("run"), runner: runner)
    for round in try RunArchive(folder("run")).rounds() {
      #expect(round.clients.map(\.status) == [.failed, .used, .failed, .refused])
      let place = "round \(round.index), client 0"
      #expect(
        round.clients[0].reason?.hasPrefix("\(place): worker process 0 \(end)") == true)
      #expect(round.clients[2].reason?.contains("Broken") == true)
    }
  }

  @Test func `cancelling ends a process that would never answer`() async throws {
    let folder = try TemporaryFolder()
    var hosts = ToyHosts()
    hosts.faults = [0: .hanging]
    let runner = try ProcessRunner(workers: 1, seed: 1, command: toyWorker(hosts))
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    let marker = folder("hangs").path
    let waiting = Task {
      try await runner.run(
        ClientID(index: 0, name: marker), brief: Message(tensors: ToyMethod.initial).encoded(),
        round: round, state: nil)
    }
    while !FileManager.default.fileExists(atPath: marker) { await Task.yield() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    let other = try await runner.run(
      ClientID(index: 1, name: "client 1"), brief: Message(tensors: ToyMethod.initial).encoded(),
      round: round, state: nil)
    #expect(!other.update.isEmpty)
  }

  @Test func `a program that is not there is an error that names the client`() async throws {
    let runner = try ProcessRunner(
      workers: 1, seed: 1,
      command: .init(executable: URL(fileURLWithPath: "/nowhere/apus"), arguments: []))
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    let error = await #expect(throws: ApusError.self) {
      _ = try await runner.run(
        ClientID(index: 4, name: "client 4"), brief: Data(), round: round, state: nil)
    }
    #expect(error?.description.hasPrefix("round 0, client 4: worker process 0") == true)
  }

  @Test func `the loop answers through any pair of pipes`() async throws {
    let (requests, replies) = (Pipe(), Pipe())
    let loop = Task.detached {
      try await ClientWorkerLoop(host: ToyHosts().factory).run(
        input: requests.fileHandleForReading, output: replies.fileHandleForWriting)
    }
    try requests.fileHandleForWriting.write(contentsOf: Data([2, 0, 0]))
    try requests.fileHandleForWriting.close()
    let error = await #expect(throws: ApusError.self) { try await loop.value }
    #expect(error?.code == .invalidMessage)
  }

  /// Not a test of its own: what a worker process of the tests above runs.
  @Test(.enabled(if: ProcessInfo.processInfo.environment[hostsKey] != nil))
  func `toy worker process`() async throws {
    let text = try #require(ProcessInfo.processInfo.environment[hostsKey])
    let hosts = try JSONDecoder().decode(ToyHosts.self, from: Data(text.utf8))
    // Standard output belongs to the test runner, so the shell below moved the pipe to 3.
    try await ClientWorkerLoop(host: hosts.factory).run(
      input: .standardInput, output: FileHandle(fileDescriptor: 3))
  }
}

private let hostsKey = "APUS_TOY_HOSTS"

/// This test program again, as a worker with toy clients.
private func toyWorker(_ hosts: ToyHosts) throws -> ProcessRunner.Command {
  ProcessRunner.Command(
    executable: URL(fileURLWithPath: "/bin/sh"),
    arguments: [
      "-c",
      "exec 3>&1 1>/dev/null 2>&1; exec \"$0\" --testing-library swift-testing --filter 'toy worker'",
      try #require(CommandLine.arguments.first),
    ],
    environment: [hostsKey: String(decoding: try JSONEncoder().encode(hosts), as: UTF8.self)])
}

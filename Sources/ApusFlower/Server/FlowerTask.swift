import ApusBase
import ApusSimulation
import Foundation

/// One run that Flower gave to this process: as a server's app, or as a simulation.
public final class FlowerTask: Sendable {
  /// What `flwr run --run-config` sets over the experiment, such as `federation.rounds=3`.
  public let assignments: [String]
  /// Number of SuperNodes that a simulation stands for; nil if the run does not say.
  public let simulatedNodes: Int?
  /// Flower's number of the run.
  public let runID: UInt64
  /// What crosses between this process and Flower.
  public let traffic: FlowerTraffic
  let session: TaskSession
  let input: Flwr_Proto_PullTaskInputResponse
  private let log: LogSpool
  /// A greeting that got lost with a SuperNode is missed after this time, and sent again.
  private static let greetingPatience = Duration.seconds(300)
  private let report: @Sendable (String) -> Void

  init(
    _ session: TaskSession, _ input: Flwr_Proto_PullTaskInputResponse, traffic: FlowerTraffic,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.session = session
    self.input = input
    self.traffic = traffic
    self.report = report
    runID = input.run.runID
    assignments = RunOverrides.assignments(input.run.overrideConfig)
    simulatedNodes =
      input.hasFederationConfig && input.federationConfig.hasNumSupernodes
      ? Int(input.federationConfig.numSupernodes) : nil
    log = LogSpool()
  }

  /// Adds a line to the log that `flwr log` shows.
  public func note(_ line: String) { log.add(line) }

  /// Runs `body` with a runner whose clients are behind the SuperNodes of the federation.
  ///
  /// - Parameters:
  ///   - site: The experiment as this machine knows it; its runner measures the global model.
  ///   - count: Number of clients.
  ///   - dialect: What clients understand.
  ///   - deadline: Longest time that a round waits for one client, joining included.
  ///   - body: Uses the runner.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws; ``ApusError`` `.runState` if Flower forgets the run.
  public func withClients<Result: Sendable>(
    of site: FlowerSite, count: Int, dialect: FlowerDialect, deadline: Duration,
    _ body: @escaping @Sendable (FlowerRunner) async throws -> Result
  ) async throws -> Result {
    let info = FlowerTaskInfo(runID: runID, taskID: input.taskID == 0 ? nil : input.taskID)
    let mailbox = Mailbox(
      MessageTransfer(session: session, node: FlowerMessage.serverNode, run: runID))
    let greeting = site.greeting
    let patience = min(deadline, Self.greetingPatience)
    let greet: Roster.Greet = { node in
      let content = try await mailbox.ask(
        FlowerMessage(
          Greeting.messageType, to: node, from: info, group: "0",
          lifetime: patience / .seconds(1), content: greeting.content),
        by: .now + patience, place: "node \(node)")
      return try Introduction(content)
    }
    let tell: @Sendable (String) -> Void = { [self] line in
      report(line)
      note(line)
    }
    let link = FlowerLink(
      mailbox: mailbox,
      roster: Roster(
        clients: count, greet: dialect == .apus ? greet : nil, report: tell),
      task: info, dialect: dialect, deadline: deadline)
    let runner = FlowerRunner(link, clients: count, local: site.runner)
    return try await firstOf(
      body: { try await body(runner) },
      beside: [
        { [session] in try await link.watchNodes(session) }, { try await link.watchMail() },
      ],
      ending: { await mailbox.close($0) })
  }

  /// Pushes lines to Flower's log until cancelled.
  func pushLog() async throws {
    while true {
      try await Task.sleep(for: .seconds(1))
      try await flushLog()
    }
  }

  /// Pushes the lines that are there.
  func flushLog() async throws {
    let text = log.take()
    if !text.isEmpty { try await session.log(text, run: runID) }
  }
}

/// Lines on their way to Flower's log.
///
/// Unchecked: all state is read and written under the lock.
private final class LogSpool: @unchecked Sendable {
  private let lock = NSLock()
  private var lines: [String] = []

  func add(_ line: String) { lock.withLock { lines.append(line) } }

  func take() -> String {
    lock.withLock {
      defer { lines = [] }
      return lines.map { $0 + "\n" }.joined()
    }
  }
}

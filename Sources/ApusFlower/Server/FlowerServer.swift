import ApusBase
import Foundation

/// The process behind a SuperLink: takes a run, does it, tells Flower how it ended.
public struct FlowerServer: Sendable {
  /// Which runs a process takes.
  public enum Role: String, Sendable {
    /// Runs of a SuperLink whose clients are behind SuperNodes.
    case server = "flwr-serverapp"
    /// Runs of a SuperLink in simulation mode.
    case simulation = "flwr-simulation"
  }

  private let connection: FlowerConnection
  private let role: Role
  private let report: @Sendable (String) -> Void

  private static let pollInterval = Duration.milliseconds(500)

  /// Prepares a process.
  ///
  /// - Parameters:
  ///   - connection: The SuperLink.
  ///   - role: Which runs to take.
  ///   - report: Hears what a person at this machine may want to know, a line at a time.
  public init(
    _ connection: FlowerConnection, role: Role, report: @escaping @Sendable (String) -> Void
  ) {
    self.connection = connection
    self.role = role
    self.report = report
  }

  /// Waits for a run and does it.
  ///
  /// - Parameter body: Does the run.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws; ``ApusError`` `.unsupported` for a version of Flower that was not
  ///   tested, `.invalidConfig` for a wrong secret or certificate, `.runState` if Flower forgets
  ///   the run.
  public func takeRun<Result: Sendable>(
    _ body: @escaping @Sendable (FlowerTask) async throws -> Result
  ) async throws -> Result {
    let traffic = FlowerTraffic()
    return try await HTTPWire.using(connection, traffic: traffic) { wire in
      do {
        let api = try await RuntimeAPI.connect(wire, secret: connection.secret, report: report)
        report("\(connection.address): waiting for a run")
        let session = TaskSession(api: api, token: try await token(from: api))
        return try await session.whileAlive {
          let task = FlowerTask(
            session, try await session.input(), traffic: traffic, report: report)
          report("run \(task.runID): begins")
          return try await perform(task, body)
        }
      } catch let refusal as RuntimeRefusal {
        throw refusal.error
      }
    }
  }

  private func token(from api: RuntimeAPI) async throws -> String {
    while true {
      do {
        if let (_, token) = try await api.acquireTask(role.rawValue) { return token }
      } catch let error as ApusError where error.isPassingRefusal {}  // asked again
      try await Task.sleep(for: Self.pollInterval)
    }
  }

  private func perform<Result: Sendable>(
    _ task: FlowerTask, _ body: @escaping @Sendable (FlowerTask) async throws -> Result
  ) async throws -> Result {
    let clock = ContinuousClock.now
    // Flower hears of the end even if this task was cancelled.
    @Sendable func finish(_ status: String, _ details: String = "") async throws {
      let seconds = (ContinuousClock.now - clock) / .seconds(1)
      try await Task {
        try await task.flushLog()
        try await task.session.finish(
          status, details: details, context: task.input.context,
          seconds: role == .simulation ? seconds : nil)
      }.value
    }
    do {
      let result = try await firstOf(
        body: { try await body(task) }, beside: [{ try await task.pushLog() }])
      try await finish("completed")
      return result
    } catch {
      task.note("\(error)")
      // What went wrong matters more than whether Flower could be told.
      try? await finish(Task.isCancelled ? "stopped" : "failed", "\(error)")
      throw error
    }
  }
}

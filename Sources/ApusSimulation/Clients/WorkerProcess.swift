import ApusBase
import Foundation

/// One worker process, started when it is needed and started again after it ended.
///
/// Unchecked: a pool gives the worker to one user at a time, and all work with the process happens
/// on `thread`; cancelling only sends a signal to it, through a lock.
final class WorkerProcess: @unchecked Sendable {
  private let index: Int
  private let seed: UInt64
  private let threads: Int
  private let command: ProcessRunner.Command
  private let thread: WorkerThread
  private let lock = NSLock()
  private var running: Running?

  /// A started process and this side's ends of its pipes.
  private struct Running {
    let process: Process
    let requests: FileHandle
    let replies: FileHandle
  }

  init(index: Int, seed: UInt64, threads: Int, command: ProcessRunner.Command) {
    self.index = index
    self.seed = seed
    self.threads = threads
    self.command = command
    // Reading a pipe blocks, so it must not happen on a thread that others need.
    thread = WorkerThread(name: "apus worker process \(index)", threadsPerOperation: 1)
  }

  deinit { stop(byForce: true) }

  /// Sends a request and waits for its answer.
  ///
  /// - Parameters:
  ///   - request: What to do.
  ///   - place: Round and client, for errors.
  /// - Returns: The answer.
  /// - Throws: ``ApusError`` `.runState` if the process cannot start or ends before it answers.
  func answer(to request: WorkerFrame, place: String) async throws -> WorkerFrame {
    try await withTaskExecutorPreference(thread) {
      try await withTaskCancellationHandler {
        try await self.exchange(request, place)
      } onCancel: {
        self.interrupt()
      }
    }
  }

  private func exchange(_ request: WorkerFrame, _ place: String) async throws -> WorkerFrame {
    try Task.checkCancellation()
    do {
      let running = try started()
      try request.write(to: running.requests)
      if let reply = try WorkerFrame(from: running.replies) { return reply }
      throw EndOfPipe()
    } catch {
      // An orderly error is a reply; whatever else comes instead leaves the pipe unusable.
      let end = stop(byForce: !(error is EndOfPipe))
      try Task.checkCancellation()
      throw ApusError(
        .runState, at: place, "worker process \(index) \(end ?? "did not start")",
        remedy: "See the process's own messages above; it is started again for the next client",
        cause: error)
    }
  }

  private func started() throws -> Running {
    if let ready = lock.withLock({ self.running }) {
      if ready.process.isRunning { return ready }
      stop(byForce: false)  // it died between two clients; neither of them is to blame
    }
    let (requests, replies, process) = (Pipe(), Pipe(), Process())
    // Another worker must not inherit these, or it would keep them open after this one ended.
    for handle in [requests.fileHandleForWriting, replies.fileHandleForReading] {
      _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC)
    }
    process.executableURL = command.executable
    process.arguments = command.arguments
    process.environment = ProcessInfo.processInfo.environment.merging(command.environment) { $1 }
    process.standardInput = requests
    process.standardOutput = replies
    try process.run()
    let running = Running(
      process: process, requests: requests.fileHandleForWriting,
      replies: replies.fileHandleForReading)
    lock.withLock { self.running = running }
    try WorkerFrame(
      head: WorkerRequest.begin(worker: index, seed: seed, threadsPerOperation: threads), parts: []
    ).write(to: running.requests)
    return running
  }

  /// The process closed its output, as it does when it ends.
  private struct EndOfPipe: Error {}

  /// Ends the process, if there is one.
  ///
  /// - Parameter byForce: Whether it gets a signal, or ends by itself as its input ends.
  /// - Returns: How it ended.
  @discardableResult
  private func stop(byForce: Bool) -> String? {
    let ended = lock.withLock { () -> Running? in
      defer { running = nil }
      return running
    }
    guard let ended else { return nil }
    try? ended.requests.close()
    if byForce, ended.process.isRunning { ended.process.terminate() }
    ended.process.waitUntilExit()
    try? ended.replies.close()
    let status = ended.process.terminationStatus
    return ended.process.terminationReason == .uncaughtSignal
      ? "was ended by signal \(status)" : "ended with status \(status)"
  }

  private func interrupt() {
    lock.withLock { if let running, running.process.isRunning { running.process.terminate() } }
  }
}

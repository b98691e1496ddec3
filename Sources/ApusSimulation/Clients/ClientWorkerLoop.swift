import ApusBase
import ApusCore
public import Foundation

/// The inside of a worker process: reads requests from a pipe, runs clients, writes answers.
///
/// The process must write nothing else to the output pipe, and should ignore SIGINT: a terminal
/// sends it to the run and its workers alike, and the run decides what becomes of them.
public struct ClientWorkerLoop: Sendable {
  private let makeHost: ClientHostFactory

  /// Prepares the loop.
  ///
  /// - Parameter host: Makes the worker's host, once the run has said which worker it is.
  public init(host: @escaping ClientHostFactory) { makeHost = host }

  /// Answers requests until the other side closes the pipe.
  ///
  /// - Parameters:
  ///   - input: Where requests come from, such as standard input.
  ///   - output: Where answers go, such as standard output.
  /// - Throws: ``ApusError`` `.invalidMessage` for a request that cannot be read, and the file
  ///   system's error if the output is closed. What a client throws is an answer.
  public func run(input: FileHandle, output: FileHandle) async throws {
    guard let first = try WorkerFrame(from: input) else { return }
    guard case .begin(let worker, let seed, let threads) = try first.decoded(WorkerRequest.self)
    else {
      throw ApusError(
        .invalidMessage, at: "worker process", "the first request does not begin a run",
        remedy: "Use one version of Apus on both sides")
    }
    let runner = try InProcessRunner(workers: 1, threadsPerOperation: threads) { [makeHost] _ in
      try makeHost(WorkerID(worker))
    }
    // Reading a pipe blocks, so it must not happen on a thread that others need.
    let reader = WorkerThread(name: "apus worker pipe", threadsPerOperation: 1)
    try await withTaskExecutorPreference(reader) {
      while let request = try WorkerFrame(from: input) {
        try await runner.answer(request, seed: seed).write(to: output)
      }
    }
  }
}

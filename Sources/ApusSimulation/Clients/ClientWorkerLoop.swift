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
    let thread = WorkerThread(name: "apus worker \(worker)", threadsPerOperation: threads)
    try await withTaskExecutorPreference(thread) {
      var host: (any ClientHost)?
      while let request = try WorkerFrame(from: input) {
        let reply: WorkerFrame
        do {
          let ready = try host ?? makeHost(WorkerID(worker))
          host = ready
          reply = try await answer(request, ClientTurn(host: ready), seed: seed)
        } catch {
          reply = try WorkerFrame(head: WorkerReply.failed(.init(error)), parts: [])
        }
        try reply.write(to: output)
      }
    }
  }

  private func answer(
    _ request: WorkerFrame, _ turn: ClientTurn, seed: UInt64
  ) async throws -> WorkerFrame {
    switch try request.decoded(WorkerRequest.self) {
    case .begin:
      throw ApusError(
        .invalidMessage, at: "worker process", "the run began twice",
        remedy: "Use one version of Apus on both sides")
    case .train(let client, let moment):
      let answer = try await turn.train(
        client, brief: request.part(0), round: moment.round(seed: seed),
        state: request.parts.dropFirst().first)
      return try WorkerFrame(
        head: WorkerReply.trained, parts: [answer.update] + (answer.state.map { [$0] } ?? []))
    case .evaluateClient(let client, let split, let moment):
      let metrics = try await turn.evaluate(
        client, brief: request.part(0), split: split, round: moment.round(seed: seed),
        state: request.parts.dropFirst().first)
      return try numbers(metrics)
    case .evaluateGlobal(let split, let shard, let shards):
      return try numbers(
        await turn.evaluate(global: request.part(0), split: split, shard: shard, of: shards))
    }
  }

  private func numbers(_ values: [String: Double]) throws -> WorkerFrame {
    try WorkerFrame(head: WorkerReply.numbers(values.mapValues(\.bitPattern)), parts: [])
  }
}

public import ApusBase
public import ApusCore
public import Foundation

/// Runs clients in processes of their own, which speak with the run through their standard
/// input and output.
///
/// A process that ends unasked costs the client that it was running, and is started again for the
/// next one. Making a runner sets the whole process to get an error instead of a signal when it
/// writes into a closed pipe.
public struct ProcessRunner: ClientRunner {
  /// The program that runs ``ClientWorkerLoop``.
  public struct Command: Sendable {
    /// The program.
    public let executable: URL
    /// Its arguments.
    public let arguments: [String]
    /// Environment variables beside those of this process.
    public let environment: [String: String]

    /// Names a program.
    public init(executable: URL, arguments: [String], environment: [String: String] = [:]) {
      self.executable = executable
      self.arguments = arguments
      self.environment = environment
    }
  }

  public let workers: Int
  private let pool: WorkerPool<WorkerProcess>

  /// Prepares workers; their processes start when they are first needed, and end with the runner.
  ///
  /// - Parameters:
  ///   - workers: Number of processes.
  ///   - seed: The run's seed, from which a process derives the streams of a round.
  ///   - threadsPerOperation: Threads of one tensor operation.
  ///   - command: The program that runs the loop.
  /// - Throws: ``ApusError`` `.invalidConfig` if a number is below 1.
  public init(
    workers: Int, seed: UInt64, threadsPerOperation: Int = 1, command: Command
  ) throws(ApusError) {
    for (name, value) in [("workers", workers), ("threads-per-operation", threadsPerOperation)] {
      guard value >= 1 else {
        throw ApusError(
          .invalidConfig, at: name, "\(value) is below 1", remedy: "Give a number ≥ 1")
      }
    }
    signal(SIGPIPE, SIG_IGN)
    self.workers = workers
    pool = WorkerPool(
      (0..<workers).map {
        WorkerProcess(index: $0, seed: seed, threads: threadsPerOperation, command: command)
      })
  }

  public func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    let (reply, parts) = try await ask(
      .train(client, .init(round)), [brief] + (state.map { [$0] } ?? []),
      place: "round \(round.index), \(client)")
    guard case .trained = reply, let update = parts.first else { throw unexpected("\(client)") }
    return ClientAnswer(update: update, state: parts.dropFirst().first)
  }

  public func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    let (reply, _) = try await ask(
      .evaluateClient(client, split, .init(round)), [brief] + (state.map { [$0] } ?? []),
      place: "evaluation after round \(round.index), \(client)")
    return try numbers(reply)
  }

  public func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    let (reply, _) = try await ask(
      .evaluateGlobal(split, shard: shard, shards: shards), [global],
      place: "evaluation on \(split.rawValue)")
    return try numbers(reply)
  }

  private func ask(
    _ request: WorkerRequest, _ parts: [Data], place: String
  ) async throws -> (WorkerReply, [Data]) {
    let frame = try WorkerFrame(head: request, parts: parts)
    let reply = try await pool.withWorker { try await $0.answer(to: frame, place: place) }
    let head = try reply.decoded(WorkerReply.self)
    if case .failed(let failure) = head { throw failure.error }
    return (head, reply.parts)
  }

  private func numbers(_ reply: WorkerReply) throws(ApusError) -> [String: Double] {
    guard case .numbers(let bits) = reply else { throw unexpected("evaluation") }
    return bits.mapValues { Double(bitPattern: $0) }
  }

  private func unexpected(_ place: String) -> ApusError {
    ApusError(
      .invalidMessage, at: place, "the worker process answered another question",
      remedy: "Use one version of Apus on both sides")
  }
}

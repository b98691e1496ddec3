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
    try await ask(
      .train(client, brief: brief, round: round, state: state),
      place: "round \(round.index), \(client)"
    ).clientAnswer()
  }

  public func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    try await ask(
      .evaluate(client, brief: brief, split: split, round: round, state: state),
      place: "evaluation after round \(round.index), \(client)"
    ).numbers()
  }

  public func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    try await ask(
      .evaluate(global: global, split: split, shard: shard, of: shards),
      place: "evaluation on \(split.rawValue)"
    ).numbers()
  }

  private func ask(_ frame: WorkerFrame, place: String) async throws -> WorkerFrame {
    try await pool.withWorker { try await $0.answer(to: frame, place: place) }
  }
}

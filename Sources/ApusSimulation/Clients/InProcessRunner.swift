public import ApusBase
public import ApusCore
public import Foundation

/// Runs clients on threads of this process, one thread and one host for each worker.
public struct InProcessRunner: ClientRunner {
  public let workers: Int
  private let pool: WorkerPool<Worker>

  /// Prepares workers; their hosts are made when they are first needed.
  ///
  /// - Parameters:
  ///   - workers: Number of threads; one for each core is a good choice.
  ///   - threadsPerOperation: Threads of one tensor operation. The bits of a product may depend
  ///     on it, and never on `workers`.
  ///   - host: Makes a worker's host.
  /// - Throws: ``ApusError`` `.invalidConfig` if a number is below 1.
  public init(
    workers: Int, threadsPerOperation: Int = 1, host: @escaping ClientHostFactory
  ) throws(ApusError) {
    for (name, value) in [("workers", workers), ("threads-per-operation", threadsPerOperation)] {
      guard value >= 1 else {
        throw ApusError(
          .invalidConfig, at: name, "\(value) is below 1", remedy: "Give a number ≥ 1")
      }
    }
    self.workers = workers
    pool = WorkerPool(
      (0..<workers).map { Worker(WorkerID($0), threads: threadsPerOperation, makeHost: host) })
  }

  public func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    try await pool.withWorker { worker in
      try await worker.perform {
        try await $0.train(client, brief: brief, round: round, state: state)
      }
    }
  }

  public func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    try await pool.withWorker { worker in
      try await worker.perform {
        try await $0.evaluate(client, brief: brief, split: split, round: round, state: state)
      }
    }
  }

  public func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    try await pool.withWorker { worker in
      try await worker.perform {
        try await $0.evaluate(global: global, split: split, shard: shard, of: shards)
      }
    }
  }
}

/// A thread and the host that lives on it.
///
/// Unchecked: `host` is read and written by jobs of `thread` only, and a pool gives the worker to
/// one user at a time.
private final class Worker: @unchecked Sendable {
  private let id: WorkerID
  private let thread: WorkerThread
  private let makeHost: ClientHostFactory
  private var host: (any ClientHost)?

  init(_ id: WorkerID, threads: Int, makeHost: @escaping ClientHostFactory) {
    self.id = id
    self.makeHost = makeHost
    thread = WorkerThread(name: "apus worker \(id.index)", threadsPerOperation: threads)
  }

  func perform<Result: Sendable>(
    _ body: @Sendable (ClientTurn) async throws -> Result
  ) async throws -> Result {
    try await withTaskExecutorPreference(thread) { try await self.onThread(body) }
  }

  private func onThread<Result: Sendable>(
    _ body: @Sendable (ClientTurn) async throws -> Result
  ) async throws -> Result {
    let host = try self.host ?? makeHost(id)
    self.host = host
    return try await body(ClientTurn(host: host))
  }
}

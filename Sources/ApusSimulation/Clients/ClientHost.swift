public import ApusCore

/// Where clients live on one worker: a module tree over the shared backbone, and their data.
///
/// A host is made on its worker's thread and used nowhere else. One client follows another on
/// it, so what a half is and does may depend on its client, its snapshot, the brief and the round
/// only; then the number of workers changes no bit.
public protocol ClientHost: AnyObject {
  /// Makes the half of a client, as it is before its first round.
  func half(of client: ClientID) throws -> any ClientHalf

  /// Measures the global model on one part of a split.
  ///
  /// - Parameters:
  ///   - global: The server's global tensors.
  ///   - split: Which rows of the federation's own data.
  ///   - shard: Part of the split, from 0.
  ///   - shards: Number of parts, the same for every number of workers.
  /// - Returns: Sums by name over the part's rows, to be added up over the parts.
  /// - Throws: ``ApusError`` if the global tensors do not fit the host's model.
  func evaluate(
    _ global: NamedTensors, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums
}

/// Sums over rows, by name, such as `loss`, `correct` and `count`; parts are added.
public typealias MetricSums = [String: Double]

/// The worker that a host is made for, from 0.
public struct WorkerID: Sendable, Hashable {
  /// Place among the workers.
  public let index: Int

  /// Names a worker.
  public init(_ index: Int) { self.index = index }
}

/// Makes the host of one worker; called on the worker's own thread.
public typealias ClientHostFactory = @Sendable (WorkerID) throws -> any ClientHost

public import ApusCore
public import Foundation

/// Runs clients somewhere: on threads of this process, or in processes of their own.
///
/// Only bytes go in and come out, so nothing can pass between the halves but messages, and the
/// bytes that are counted are those that were read.
public protocol ClientRunner: Sendable {
  /// Number of clients that run at the same time.
  var workers: Int { get }

  /// Runs one client's local phase; waits for a free worker.
  ///
  /// - Parameters:
  ///   - client: Whose turn it is.
  ///   - brief: The encoded message that opens the round.
  ///   - round: Which round.
  ///   - state: The client's encoded snapshot; nil before its first round, or if it keeps none.
  /// - Returns: The encoded update and snapshot.
  /// - Throws: Whatever the client's half throws, or ``ApusError`` if the worker is lost.
  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer

  /// Measures the model that one client would use.
  ///
  /// - Parameters:
  ///   - client: Whose turn it is.
  ///   - brief: The encoded message as the client would get it now.
  ///   - split: Which of the client's rows.
  ///   - round: Which round.
  ///   - state: The client's encoded snapshot, which stays as it is.
  /// - Returns: The client's metrics; empty if it has no such rows.
  /// - Throws: Whatever the client's half throws, or ``ApusError`` if the worker is lost.
  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics

  /// Measures the global model on one part of a split.
  ///
  /// - Parameters:
  ///   - global: An encoded message with the server's global tensors.
  ///   - split: Which rows of the federation's own data.
  ///   - shard: Part of the split, from 0.
  ///   - shards: Number of parts.
  /// - Returns: Sums over the part's rows.
  /// - Throws: Whatever the host throws, or ``ApusError`` if the worker is lost.
  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums
}

/// What a client's local phase gives back.
public struct ClientAnswer: Sendable {
  /// The encoded message that goes up.
  public let update: Data
  /// The encoded snapshot that stays with the client; nil if it keeps nothing.
  public let state: Data?

  /// Collects an answer.
  public init(update: Data, state: Data?) {
    self.update = update
    self.state = state
  }
}

public import ApusBase
import Foundation

/// Section `engine`: where clients run; no setting here changes a bit of the result, but threads.
public struct EngineOptions: OptionGroup, Equatable {
  /// Where clients run.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// On threads of this process.
    case inProcess = "in-process"
    /// In worker processes, joined by pipes.
    case processes
  }

  /// Where clients run.
  public var kind = Kind.inProcess
  /// Clients that run at the same time; 0 for one a core.
  public var workers = 0
  /// Threads of one tensor operation; the last bits of a result can depend on it.
  public var threadsPerOperation = 1

  public init() {}

  public func validate() throws(ApusError) {
    try require(workers >= 0, "workers", "\(workers) is negative", remedy: "Give 0 or more")
    try require(
      threadsPerOperation >= 1, "threads-per-operation", "\(threadsPerOperation) is below 1",
      remedy: "Give a number ≥ 1")
  }

  /// The number of workers, one a core unless it is given.
  public var resolvedWorkers: Int {
    workers > 0 ? workers : ProcessInfo.processInfo.activeProcessorCount
  }
}

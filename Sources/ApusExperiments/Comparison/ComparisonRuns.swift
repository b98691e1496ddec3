public import ApusBase
import ApusSimulation
import Foundation

extension Comparison.Member {
  /// Whether the run's folder holds a run.
  public var hasBegun: Bool {
    get throws(ApusError) { try RunStore.exists(at: folder) }
  }

  /// Whether all rounds of this very run are committed.
  ///
  /// - Throws: ``ApusError`` `.runState` if the folder holds a run with other settings.
  public var isFinished: Bool {
    get throws(ApusError) {
      guard try hasBegun else { return false }
      let archive = try RunArchive(folder)
      try ExperimentRun.description(of: experiment)
        .requireSame(as: archive.description, at: folder.path)
      return try archive.rounds().count >= experiment.federation.rounds
    }
  }
}

extension Comparison {
  /// What the finished runs came to, entry by entry.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` if a run's database is damaged.
  public func results() throws(ApusError) -> [ComparisonOutcome] {
    var results: [ComparisonOutcome] = []
    for entry in entries {
      var archives: [RunArchive] = []
      for member in members where member.entry == entry {
        guard try member.isFinished else { continue }
        archives.append(try RunArchive(member.folder))
      }
      results.append(
        try ComparisonOutcome(
          entry: entry, archives, metric: metric, target: options.target))
    }
    return results
  }
}

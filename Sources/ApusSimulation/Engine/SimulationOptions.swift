public import ApusBase
public import ApusCore

/// How a run goes on in rounds.
public struct SimulationOptions: OptionGroup, Equatable {
  /// Number of rounds of the whole run.
  public var rounds = 10
  /// How cohorts are drawn.
  public var sampling = CohortSampling()
  /// How long a round waits.
  public var stragglers = StragglerPolicy()
  /// What one client's training asks of a device.
  public var workload = Workload()
  /// When and on what the model is measured.
  public var evaluation = EvaluationOptions()
  /// Fewest updates that a round needs; with fewer the run stops at the last committed round.
  ///
  /// A Poisson cohort may be empty, and is exempt.
  public var minimumUpdates = 1
  /// Bytes of clients' states to keep in memory.
  public var stateMemoryBytes = 256 << 20

  public init() {}

  public func validate() throws(ApusError) {
    try require(rounds >= 1, "rounds", "\(rounds) is below 1", remedy: "Give a number ≥ 1")
    try require(
      minimumUpdates >= 0, "minimum-updates", "\(minimumUpdates) is negative",
      remedy: "Give a number ≥ 0")
    try require(
      stateMemoryBytes >= 0, "state-memory-bytes", "\(stateMemoryBytes) is negative",
      remedy: "Give a number ≥ 0")
    try sampling.validate()
    try stragglers.validate()
    try workload.validate()
    try evaluation.validate()
  }
}

/// When and on what the model is measured.
public struct EvaluationOptions: OptionGroup, Equatable {
  /// Rounds between two measurements, or 0 for none.
  ///
  /// Unless it is 0, the last round is measured in any case.
  public var every = 1
  /// Splits of the federation's own data on which the global model is measured.
  public var splits = [DataSplit.test]
  /// Parts of a split that workers measure by themselves; sums are added in order of the parts,
  /// so the number belongs to the result, unlike the number of workers.
  public var shards = 16
  /// Splits of the clients' data on which each client's own model is measured.
  public var clientSplits: [DataSplit] = []

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      every >= 0, "every", "\(every) is negative", remedy: "Give a number ≥ 1, or 0 for none")
    try require(shards >= 1, "shards", "\(shards) is below 1", remedy: "Give a number ≥ 1")
  }

  /// Whether a round is followed by a measurement.
  func isDue(after round: Round) -> Bool {
    every > 0 && ((round.index + 1).isMultiple(of: every) || round.index + 1 == round.total)
  }
}

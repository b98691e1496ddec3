public import ApusBase

/// What makes a run the run it is: the same description gives the same bits.
public struct RunDescription: Sendable, Equatable {
  /// The resolved configuration, by dotted key, such as `training.learning-rate`.
  public let configuration: [String: String]
  /// Seed of all chance in the run.
  public let seed: UInt64
  /// Versions of what computes, such as `apus` and `libtorch`; for the record.
  public let versions: [String: String]

  /// Describes a run.
  public init(configuration: [String: String], seed: UInt64, versions: [String: String] = [:]) {
    self.configuration = configuration
    self.seed = seed
    self.versions = versions
  }

  /// Refuses to go on with a run of another configuration.
  ///
  /// - Parameters:
  ///   - stored: How the run was begun.
  ///   - place: The run's folder, for the error.
  /// - Throws: ``ApusError`` `.runState`, naming the first key in alphabetical order that differs.
  public func requireSame(as stored: RunDescription, at place: String) throws(ApusError) {
    let remedy = "Resume with the configuration that began the run, or give the new run a new name"
    let keys = Set(configuration.keys).union(stored.configuration.keys).sorted()
    for key in keys where configuration[key] != stored.configuration[key] {
      let (old, new) = (stored.configuration[key], configuration[key])
      throw ApusError(
        .runState, at: "\(place), \(key)",
        "the run was begun with \(old ?? "no value") and is now given \(new ?? "no value")",
        remedy: remedy)
    }
    guard seed == stored.seed else {
      throw ApusError(
        .runState, at: "\(place), seed",
        "the run was begun with \(stored.seed) and is now given \(seed)", remedy: remedy)
    }
  }
}

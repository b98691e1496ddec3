public import ApusBase

/// How long a round waits, and what slow clients do about it.
public struct StragglerPolicy: OptionGroup, Equatable {
  /// What ends a round before all reports are in.
  public enum Deadline: String, Codable, Sendable, CaseIterable {
    /// Nothing: the round waits for everyone.
    case none
    /// `deadlineSeconds` of virtual time.
    case fixed
    /// The `deadlineQuantile` of the cohort's predicted times.
    case quantile
  }

  /// What a client does that cannot finish in time.
  public enum PartialWork: String, Codable, Sendable, CaseIterable {
    /// All of its steps, in vain.
    case none
    /// As many steps as fit before the deadline; without room for one it reports nothing.
    case fitting
    /// A share `stragglerShare` of the cohort does a random part of its steps, as FedProx's
    /// experiments have it; in steps rather than epochs, so that one epoch can be cut too.
    case random
  }

  /// What ends a round.
  public var deadline = Deadline.none
  /// Virtual seconds of a fixed deadline.
  public var deadlineSeconds = 60.0
  /// Quantile of the predicted times, above 0, at most 1.
  public var deadlineQuantile = 0.8
  /// What slow clients do.
  public var partialWork = PartialWork.none
  /// Share of the cohort with random partial work.
  public var stragglerShare = 0.5

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      deadlineSeconds > 0, "deadline-seconds", "\(deadlineSeconds) is not positive",
      remedy: "Give seconds > 0")
    try require(
      deadlineQuantile > 0 && deadlineQuantile <= 1, "deadline-quantile",
      "\(deadlineQuantile) is no quantile", remedy: "Give a number above 0, at most 1")
    try require(
      (0...1).contains(stragglerShare), "straggler-share", "\(stragglerShare) is no share",
      remedy: "Give a number between 0 and 1")
    try require(
      partialWork != .fitting || deadline != .none, "partial-work",
      "there is no deadline that work could be fitted to",
      remedy: "Set a deadline, or remove partial-work")
  }

  /// The deadline in virtual seconds, given the times that the server predicts.
  ///
  /// The quantile is the smallest time that at least this share of the cohort does not exceed.
  ///
  /// - Parameter predicted: Seconds for each client of the cohort, without jitter.
  /// - Returns: Infinity without a deadline or without clients.
  func seconds(predicted: [Double]) -> Double {
    switch deadline {
    case .none: return .infinity
    case .fixed: return deadlineSeconds
    case .quantile:
      let sorted = predicted.sorted()
      let rank = Int((deadlineQuantile * Double(sorted.count)).rounded(.up))
      return sorted.isEmpty ? .infinity : sorted[max(rank, 1) - 1]
    }
  }
}

public import ApusBase

/// How updates are weighted and what the server does with their mean.
public struct Aggregation: OptionGroup, Equatable {
  /// How much an update counts.
  public enum Weighting: String, Codable, Sendable, CaseIterable {
    /// In proportion to nₖ, the client's training rows.
    case samples
    /// All alike.
    case uniform
  }

  /// pₖ ∝ nₖ, or all alike.
  public var weighting = Weighting.samples
  /// The server's update rule.
  public var server = ServerOptimizerConfiguration()

  public init() {}

  public func validate() throws(ApusError) {
    do throws(ApusError) { try server.validate() } catch {
      throw ApusError(
        error.code, at: "server.\(error.location)", error.problem, remedy: error.remedy)
    }
  }

  /// wₖ of an update from a client with `sampleCount` rows.
  public func weight(sampleCount: Int) -> Double {
    switch weighting {
    case .samples: Double(sampleCount)
    case .uniform: 1
    }
  }
}

public import ApusCore

/// What the server knows of a client before it sends anything.
public struct FederationClient: Sendable, Hashable {
  /// Place and name.
  public let id: ClientID
  /// Training rows, nₖ.
  public let sampleCount: Int
  /// Optimizer steps of a whole local phase; what virtual time and partial work go by.
  public let localSteps: Int

  /// Describes a client.
  public init(id: ClientID, sampleCount: Int, localSteps: Int) {
    self.id = id
    self.sampleCount = sampleCount
    self.localSteps = localSteps
  }
}

/// One client in the cohort of a round.
public struct CohortMember: Sendable, Hashable {
  /// How much the member's update counts.
  public enum Weight: Sendable, Hashable {
    /// As the run's aggregation says: nₖ, or all alike.
    case aggregation
    /// As the way of sampling demands.
    case fixed(Double)
  }

  /// Which client.
  public let client: FederationClient
  /// How much its update counts.
  public let weight: Weight

  /// Puts a client into a cohort.
  public init(client: FederationClient, weight: Weight = .aggregation) {
    self.client = client
    self.weight = weight
  }
}

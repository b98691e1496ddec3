public import ApusBase
import Foundation

/// `quantity`: clients differ in how much they hold, but all draw from one distribution.
///
/// Every client gets `minimum` examples, and the rest is divided in proportion to random shares.
/// Covers all.
public struct QuantitySkew: Partitioner, Hashable {
  /// The law of the shares.
  public enum Law: Hashable, Sendable {
    /// Shares drawn from Dir(concentration · 1); small for strong skew; no unit.
    case dirichlet(concentration: Double)
    /// Shares ∝ rank^(−exponent) with the ranks dealt at random; 0 for equal sizes; no unit.
    case powerLaw(exponent: Double)
  }

  /// Number of clients K ≥ 1.
  public var clients: Int
  /// The law of the shares.
  public var law: Law
  /// Fewest examples of a client, ≥ 0.
  public var minimum: Int

  public init(clients: Int, law: Law, minimum: Int = 1) {
    self.clients = clients
    self.law = law
    self.minimum = minimum
  }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    try checkClients(clients, minimum: minimum, of: dataset)
    var random = random
    let shares: [Double]
    switch law {
    case .dirichlet(let concentration):
      try checkPositive(concentration, "concentration")
      shares = random.dirichlet(Array(repeating: concentration, count: clients))
    case .powerLaw(let exponent):
      guard exponent >= 0, exponent.isFinite else {
        throw partitionError(
          "exponent", "\(exponent) is not a finite number of at least 0",
          remedy: "Use 0 for equal sizes, or a number such as 1.5")
      }
      shares = random.shuffled(1...clients).map { pow(Double($0), -exponent) }
    }
    let free = dataset.count - minimum * clients
    let sizes = Apportionment.parts(of: free, weights: shares).map { $0 + minimum }
    let order = random.shuffled(0..<dataset.count)
    return Partition(
      numbered: Apportionment.cut(order, sizes: sizes), exampleCount: dataset.count)
  }
}

public import ApusBase

/// `dirichlet-by-client`: each client draws its own mix of classes; sizes differ by at most one.
///
/// Client after client draws q ~ Dir(concentration · p) over the classes, where p is the mix of
/// the whole data, and then its examples one by one without replacement. A class that has run
/// out leaves q, so the last clients are skewed by what is left. Covers all.
///
/// - Source: Hsu et al., arXiv 1909.06335, section 3.
public struct DirichletByClient: Partitioner, Hashable {
  /// Number of clients K ≥ 1.
  public var clients: Int
  /// Sum of the Dirichlet's parameters, > 0: small for strong skew; no unit.
  public var concentration: Double

  public init(clients: Int, concentration: Double = 0.5) {
    self.clients = clients
    self.concentration = concentration
  }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    try checkClients(clients, of: dataset)
    try checkPositive(concentration, "concentration")
    var random = random
    var left = try dataset.positionsByClass().map { random.shuffled($0) }
    let present = left.indices.filter { !left[$0].isEmpty }
    let prior = present.map { Double(left[$0].count) / Double(dataset.count) }
    var parts: [[Int]] = []
    for size in Apportionment.equalParts(of: dataset.count, count: clients) {
      let draw = random.dirichlet(prior.map { concentration * $0 })
      var shares = Array(repeating: 0.0, count: left.count)
      for (label, share) in zip(present, draw) where !left[label].isEmpty { shares[label] = share }
      var part: [Int] = []
      while part.count < size {
        if shares.allSatisfy({ $0 == 0 }) { shares = left.map { Double($0.count) } }
        let label = random.index(weightedBy: shares)
        part.append(left[label].removeLast())
        if left[label].isEmpty { shares[label] = 0 }
      }
      parts.append(part)
    }
    return Partition(numbered: parts, exampleCount: dataset.count)
  }
}

public import ApusBase

/// `dirichlet-by-class`: each class is spread over the clients by a draw from a Dirichlet.
///
/// For every class q ~ Dir(concentration · 1) over the K clients; a client that already holds
/// n / K examples gets none of the next class, and the others share in proportion. All is drawn
/// again until no client is below `minimum`. Skews both labels and sizes, and covers all.
///
/// - Source: `partition_data` of the code of Li et al., arXiv 2102.02079; generator of
///   Yurochkin et al., arXiv 1905.12022.
public struct DirichletByClass: Partitioner, Hashable {
  /// Draws after which the minimum counts as out of reach.
  static let mostAttempts = 1_000

  /// Number of clients K ≥ 1.
  public var clients: Int
  /// Concentration of the Dirichlet, > 0: small for strong skew; no unit.
  public var concentration: Double
  /// Fewest examples of a client, ≥ 0.
  public var minimum: Int

  public init(clients: Int, concentration: Double = 0.5, minimum: Int = 10) {
    self.clients = clients
    self.concentration = concentration
    self.minimum = minimum
  }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    try checkClients(clients, minimum: minimum, of: dataset)
    try checkPositive(concentration, "concentration")
    let positions = try dataset.positionsByClass()
    var random = random
    var best = 0
    for _ in 0..<Self.mostAttempts {
      let counts = draw(positions.map(\.count), &random)  // [C][K]
      let sizes = (0..<clients).map { client in counts.reduce(0) { $0 + $1[client] } }
      best = max(best, sizes.min() ?? 0)
      guard best >= minimum else { continue }
      return deal(positions, counts, dataset.count, &random)
    }
    throw partitionError(
      "minimum",
      "no draw of \(Self.mostAttempts) gave every client \(minimum) examples (the best gave "
        + "\(best), with \(clients) clients and concentration \(concentration))",
      remedy: "Lower the minimum or the number of clients, or raise the concentration")
  }

  /// Number of examples of each class for each client.
  private func draw(_ classCounts: [Int], _ random: inout RandomStream) -> [[Int]] {
    let fairSize = Double(classCounts.reduce(0, +)) / Double(clients)
    let concentrations = Array(repeating: concentration, count: clients)
    var sizes = Array(repeating: 0, count: clients)
    return classCounts.map { count in
      var shares = random.dirichlet(concentrations)
      for client in 0..<clients where Double(sizes[client]) >= fairSize { shares[client] = 0 }
      if shares.allSatisfy({ $0 == 0 }) {
        // The whole share fell to clients that are full: those with room take it evenly.
        shares = sizes.map { Double($0) < fairSize ? 1 : 0 }
      }
      let parts = Apportionment.parts(of: count, weights: shares)
      for client in 0..<clients { sizes[client] += parts[client] }
      return parts
    }
  }

  private func deal(
    _ positions: [[Int]], _ counts: [[Int]], _ exampleCount: Int, _ random: inout RandomStream
  ) -> Partition {
    var parts = Array(repeating: [Int](), count: clients)
    for (ofClass, counts) in zip(positions, counts) {
      let pieces = Apportionment.cut(random.shuffled(ofClass), sizes: counts)
      for (client, piece) in pieces.enumerated() { parts[client] += piece }
    }
    return Partition(numbered: parts, exampleCount: exampleCount)
  }
}

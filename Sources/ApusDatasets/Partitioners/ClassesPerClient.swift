public import ApusBase

/// `classes-per-client`: every client has exactly `perClient` classes, and holders share a class.
///
/// Clients choose among the classes that have the fewest holders so far, ties at random, so the
/// numbers of holders differ by at most one. Holders of a class share it evenly. Classes that
/// stay without a holder, because K·s is smaller than their number, are the remainder.
///
/// - Source: the partition of FedSelect's code (Tamirisa et al., arXiv 2404.02478).
public struct ClassesPerClient: Partitioner, Hashable {
  /// Number of clients K ≥ 1.
  public var clients: Int
  /// Classes of each client s ≥ 1.
  public var perClient: Int

  public init(clients: Int, perClient: Int = 2) {
    self.clients = clients
    self.perClient = perClient
  }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    try checkClients(clients, of: dataset)
    let positions = try dataset.positionsByClass().filter { !$0.isEmpty }
    guard (1...positions.count).contains(perClient) else {
      throw partitionError(
        "per-client", "the data has \(positions.count) classes, not \(perClient) for each client",
        remedy: "Choose between 1 and \(positions.count)")
    }
    var random = random
    var holders = Array(repeating: [Int](), count: positions.count)
    for client in 0..<clients {
      let byHolders = random.shuffled(0..<positions.count).sorted {
        holders[$0].count < holders[$1].count
      }
      for label in byHolders.prefix(perClient) { holders[label].append(client) }
    }
    var parts = Array(repeating: [Int](), count: clients)
    for (ofClass, holders) in zip(positions, holders) {
      guard ofClass.count >= holders.count else {
        throw partitionError(
          "clients",
          "a class of \(ofClass.count) examples cannot be shared by \(holders.count) clients",
          remedy: "Ask for fewer clients or fewer classes per client")
      }
      let sizes = Apportionment.equalParts(of: ofClass.count, count: holders.count)
      guard !holders.isEmpty else { continue }
      let pieces = Apportionment.cut(random.shuffled(ofClass), sizes: sizes)
      for (client, piece) in zip(holders, pieces) { parts[client] += piece }
    }
    return Partition(numbered: parts, exampleCount: dataset.count)
  }
}

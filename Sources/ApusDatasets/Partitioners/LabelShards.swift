public import ApusBase

/// `shards`: the data, sorted by label, is cut into shards and every client gets a few at random.
///
/// Each shard lies within one class, so a client has at most `perClient` classes. (Cuts at equal
/// distances, as in the first paper, straddle classes whose sizes are no multiple of the shard.)
/// Shards of a class differ in size by at most one. Covers all.
///
/// - Source: McMahan et al., arXiv 1602.05629, section 3, except for the cuts as said above.
public struct LabelShards: Partitioner, Hashable {
  /// Number of clients K ≥ 1.
  public var clients: Int
  /// Shards of each client s ≥ 1.
  public var perClient: Int

  public init(clients: Int, perClient: Int = 2) {
    self.clients = clients
    self.perClient = perClient
  }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    guard perClient >= 1 else {
      throw partitionError(
        "per-client", "\(perClient) shards hold no data", remedy: "Give each client 1 or more")
    }
    try checkClients(clients, minimum: perClient, of: dataset)
    let positions = try dataset.positionsByClass().filter { !$0.isEmpty }
    let shardCount = clients * perClient
    guard shardCount >= positions.count else {
      throw partitionError(
        "per-client",
        "\(clients) clients with \(perClient) shards each cannot cover \(positions.count) classes",
        remedy: "Raise the shards per client or the number of clients")
    }
    var random = random
    var shards: [[Int]] = []
    for (ofClass, count) in zip(positions, Self.shardCounts(positions.map(\.count), shardCount)) {
      let sizes = Apportionment.equalParts(of: ofClass.count, count: count)
      shards += Apportionment.cut(random.shuffled(ofClass), sizes: sizes)
    }
    let order = random.shuffled(0..<shardCount)
    let parts = (0..<clients).map { client in
      order[(client * perClient)..<((client + 1) * perClient)].flatMap { shards[$0] }
    }
    return Partition(numbered: parts, exampleCount: dataset.count)
  }

  /// Number of shards of each class: at least one, and otherwise so that the largest shard
  /// becomes smallest.
  private static func shardCounts(_ sizes: [Int], _ shardCount: Int) -> [Int] {
    var counts = sizes.map { _ in 1 }
    for _ in 0..<(shardCount - sizes.count) {
      let ratios = zip(sizes, counts).map { Double($0) / Double($1) }
      guard let largest = ratios.max(), let index = ratios.firstIndex(of: largest) else { break }
      counts[index] += 1
    }
    return counts
  }
}

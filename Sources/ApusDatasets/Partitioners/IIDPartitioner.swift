public import ApusBase

/// `iid`: every client draws from the same distribution, in sizes that differ by at most one.
public struct IIDPartitioner: Partitioner, Hashable {
  /// Number of clients K ≥ 1.
  public var clients: Int

  public init(clients: Int) { self.clients = clients }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    try checkClients(clients, of: dataset)
    var random = random
    let order = random.shuffled(0..<dataset.count)
    let sizes = Apportionment.equalParts(of: dataset.count, count: clients)
    return Partition(
      numbered: Apportionment.cut(order, sizes: sizes), exampleCount: dataset.count)
  }
}

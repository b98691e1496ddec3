public import ApusBase

/// `natural`: every owner named by the data is a client.
///
/// Clients are in alphabetical order. Owners with few examples are left out; theirs are the
/// remainder.
public struct NaturalPartitioner: Partitioner, Hashable {
  /// Fewest examples of a client, ≥ 0.
  public var minimum: Int

  public init(minimum: Int = 1) { self.minimum = minimum }

  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    var owned: [String: [Int]] = [:]
    for (position, example) in dataset.examples.enumerated() {
      guard let client = example.client else {
        throw ApusError(
          .invalidData, at: example.source.description, "the example has no client",
          remedy: "Choose the column that names the owner of each row")
      }
      owned[client, default: []].append(position)
    }
    let clients = owned.filter { $0.value.count >= minimum }.sorted { $0.key < $1.key }
    guard !clients.isEmpty else {
      throw partitionError(
        "minimum", "none of the \(owned.count) owners has \(minimum) examples",
        remedy: "Lower the minimum")
    }
    return Partition(
      clients: clients.map { Partition.Client(name: $0.key, positions: $0.value) },
      exampleCount: dataset.count)
  }
}

public import ApusBase

/// Where the test examples come from; always a decision of the user.
public enum TestPolicy: Sendable {
  /// A data set of its own, the same for all clients; nobody trains on it.
  case given(Dataset)
  /// A share of the data, held out before it is divided; the same for all clients.
  case holdOut(fraction: Double)
  /// A share of each client's own data, so that each is tested under its own skew.
  case perClient(fraction: Double)
}

/// A divided data set: what each client trains on and is tested on.
public struct FederatedDataset: Sendable {
  /// One client's positions in ``FederatedDataset/dataset``.
  public struct Client: Hashable, Sendable {
    /// Name in the partition.
    public let name: String
    /// The client's data; its test part is empty unless the policy is per client.
    public let split: Split
  }

  /// The divided examples; without those that were held out before.
  public let dataset: Dataset
  /// Who holds which examples of ``dataset``.
  public let partition: Partition
  /// The clients in the order of the partition.
  public let clients: [Client]
  /// The test examples of all: the given or held-out ones, or all clients' own.
  public private(set) var test: Dataset

  /// Divides a data set among clients and each client's part into training and test.
  ///
  /// - Parameters:
  ///   - dataset: All examples but a given test set.
  ///   - partitioner: The rule that divides them.
  ///   - testPolicy: Where the test examples come from.
  ///   - validation: Share of each client's data that is kept for validation, in 0..<1.
  ///   - random: Source of all chance.
  /// - Throws: ``ApusError`` `.invalidConfig` if a share is out of range, the rule cannot be
  ///   followed, or a given test set has other classes; `.invalidData` as the partitioner says.
  public init(
    _ dataset: Dataset, partitioner: some Partitioner, testPolicy: TestPolicy,
    validation: Double = 0, random: RandomStream
  ) throws(ApusError) {
    var fractions = SplitFractions(validation: validation)
    switch testPolicy {
    case .given(let test):
      guard test.labelNames == dataset.labelNames else {
        throw ApusError(
          .invalidConfig, at: test.name,
          "its classes \(test.labelNames) are not the classes \(dataset.labelNames) of "
            + dataset.name,
          remedy: "Read the test file with the class names of the training file")
      }
      self.dataset = dataset
      self.test = test
    case .holdOut(let fraction):
      let held = SplitFractions(test: fraction)
      let split = try dataset.split(fractions: held, random: random.substream("hold-out"))
      self.dataset = dataset.subset(split.train)
      test = dataset.subset(split.test, name: "\(dataset.name), held out")
    case .perClient(let fraction):
      fractions.test = fraction
      self.dataset = dataset
      test = dataset.subset([])
    }
    let partition = try partitioner.partition(
      self.dataset, random: random.substream("partition"))
    var clients: [Client] = []
    for (number, client) in partition.clients.enumerated() {
      let split = try self.dataset.split(
        client.positions, fractions: fractions, random: random.substream("split", number))
      clients.append(Client(name: client.name, split: split))
    }
    self.partition = partition
    self.clients = clients
    guard case .perClient = testPolicy else { return }
    test = dataset.subset(clients.flatMap(\.split.test), name: "\(dataset.name), all clients")
  }
}

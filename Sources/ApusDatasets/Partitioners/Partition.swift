public import ApusBase

/// Who holds which examples: for each client, positions in one data set.
///
/// A partitioner makes one in which no example has two owners; examples without an owner are the
/// ``remainder``.
public struct Partition: Hashable, Codable, Sendable {
  /// One client's part.
  public struct Client: Hashable, Codable, Sendable {
    /// Name for reports; the natural key, or a number such as `client-07`.
    public let name: String
    /// Positions of the client's examples in the data set, in increasing order.
    public let positions: [Int]

    public init(name: String, positions: [Int]) {
      self.name = name
      self.positions = positions
    }
  }

  /// The clients in a fixed order.
  public let clients: [Client]
  /// Number of examples of the data set that was divided.
  public let exampleCount: Int

  public init(clients: [Client], exampleCount: Int) {
    self.clients = clients
    self.exampleCount = exampleCount
  }

  /// A partition of clients that are only numbered; sorts the positions.
  init(numbered parts: [[Int]], exampleCount: Int) {
    let width = String(max(parts.count - 1, 0)).count
    let clients = parts.enumerated().map { number, positions in
      let digits = String(number)
      let zeros = String(repeating: "0", count: width - digits.count)
      return Client(name: "client-\(zeros)\(digits)", positions: positions.sorted())
    }
    self.init(clients: clients, exampleCount: exampleCount)
  }

  /// Number of examples of each client.
  public var sizes: [Int] { clients.map(\.positions.count) }

  /// Positions that no client holds, in increasing order.
  public var remainder: [Int] {
    let held = Set(clients.flatMap(\.positions))
    return (0..<exampleCount).filter { !held.contains($0) }
  }
}

/// A rule that divides a data set among clients.
///
/// All chance comes from the stream, so the same rule, data and stream give the same partition.
public protocol Partitioner: Sendable {
  /// Divides `dataset` among clients.
  ///
  /// - Parameters:
  ///   - dataset: The examples; only labels, clients and their number matter.
  ///   - random: Source of all chance.
  /// - Returns: A partition without shared examples.
  /// - Throws: ``ApusError`` `.invalidConfig` if the rule cannot be followed on this data, and
  ///   `.invalidData` if the data lacks the labels or clients that the rule needs.
  func partition(_ dataset: Dataset, random: RandomStream) throws(ApusError) -> Partition
}

/// An error about an option of a partition.
func partitionError(
  _ option: String, _ problem: String, remedy: String
) -> ApusError {
  ApusError(.invalidConfig, at: "partition, \(option)", problem, remedy: remedy)
}

/// Checks that `clients` clients can have `minimum` examples each.
func checkClients(
  _ clients: Int, minimum: Int = 1, of dataset: Dataset
) throws(ApusError) {
  guard clients >= 1 else {
    throw partitionError(
      "clients", "\(clients) clients cannot hold data", remedy: "Ask for at least one client")
  }
  guard minimum >= 0 else {
    throw partitionError(
      "minimum", "\(minimum) is negative", remedy: "Give the fewest examples a client may have")
  }
  guard clients <= dataset.count, minimum <= dataset.count / clients else {
    throw partitionError(
      "clients",
      "\(dataset.count) examples do not give \(clients) clients \(max(minimum, 1)) each",
      remedy: "Ask for fewer clients, a lower minimum, or bring more data")
  }
}

/// Checks that a concentration or exponent is a finite number above zero.
func checkPositive(_ value: Double, _ option: String) throws(ApusError) {
  guard value > 0, value.isFinite else {
    throw partitionError(
      option, "\(value) is not a finite number above 0",
      remedy: "Use a number such as 0.1 for strong and 100 for hardly any skew")
  }
}

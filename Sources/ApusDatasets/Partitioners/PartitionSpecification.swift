public import ApusBase
import Foundation

/// A partition as a configuration file says it: a kind and the options that belong to it.
public struct PartitionSpecification: Hashable, Codable, Sendable {
  /// The name of a partitioner.
  public enum Kind: String, Hashable, Codable, CaseIterable, Sendable {
    /// ``NaturalPartitioner``; options: minimum.
    case natural
    /// ``IIDPartitioner``; options: clients.
    case iid
    /// ``DirichletByClass``; options: clients, concentration, minimum.
    case dirichletByClass = "dirichlet-by-class"
    /// ``DirichletByClient``; options: clients, concentration.
    case dirichletByClient = "dirichlet-by-client"
    /// ``LabelShards``; options: clients, per-client.
    case shards
    /// ``ClassesPerClient``; options: clients, per-client.
    case classesPerClient = "classes-per-client"
    /// ``QuantitySkew``; options: clients, minimum, and either concentration or exponent.
    case quantity
    /// ``PartitionFile``; options: file.
    case file

    /// The options of this kind, as the configuration spells them.
    public var options: [String] {
      switch self {
      case .natural: ["minimum"]
      case .iid: ["clients"]
      case .dirichletByClass: ["clients", "concentration", "minimum"]
      case .dirichletByClient: ["clients", "concentration"]
      case .shards, .classesPerClient: ["clients", "per-client"]
      case .quantity: ["clients", "concentration", "exponent", "minimum"]
      case .file: ["file"]
      }
    }
  }

  /// Which partitioner.
  public var kind: Kind
  /// Number of clients.
  public var clients: Int?
  /// Concentration of a Dirichlet.
  public var concentration: Double?
  /// Exponent of the power law of sizes.
  public var exponent: Double?
  /// Fewest examples of a client.
  public var minimum: Int?
  /// Shards or classes of each client.
  public var perClient: Int?
  /// Path of a partition file.
  public var file: String?

  public init(
    _ kind: Kind, clients: Int? = nil, concentration: Double? = nil, exponent: Double? = nil,
    minimum: Int? = nil, perClient: Int? = nil, file: String? = nil
  ) {
    self.kind = kind
    self.clients = clients
    self.concentration = concentration
    self.exponent = exponent
    self.minimum = minimum
    self.perClient = perClient
    self.file = file
  }

  private enum CodingKeys: String, CodingKey {
    case kind
    case clients
    case concentration
    case exponent
    case minimum
    case perClient = "per-client"
    case file
  }

  /// The partitioner that this describes, with the defaults of its type.
  ///
  /// - Returns: A ``NaturalPartitioner``, ``IIDPartitioner``, … as ``kind`` says.
  /// - Throws: ``ApusError`` `.invalidConfig` if an option is missing or is not one of the kind.
  public func makePartitioner() throws(ApusError) -> any Partitioner {
    try checkOptions()
    switch kind {
    case .natural:
      var natural = NaturalPartitioner()
      if let minimum { natural.minimum = minimum }
      return natural
    case .iid:
      return IIDPartitioner(clients: try clientCount())
    case .dirichletByClass:
      var dirichlet = DirichletByClass(clients: try clientCount())
      if let concentration { dirichlet.concentration = concentration }
      if let minimum { dirichlet.minimum = minimum }
      return dirichlet
    case .dirichletByClient:
      var dirichlet = DirichletByClient(clients: try clientCount())
      if let concentration { dirichlet.concentration = concentration }
      return dirichlet
    case .shards:
      var shards = LabelShards(clients: try clientCount())
      if let perClient { shards.perClient = perClient }
      return shards
    case .classesPerClient:
      var classes = ClassesPerClient(clients: try clientCount())
      if let perClient { classes.perClient = perClient }
      return classes
    case .quantity:
      var quantity = QuantitySkew(clients: try clientCount(), law: try sizeLaw())
      if let minimum { quantity.minimum = minimum }
      return quantity
    case .file:
      guard let file else { throw missing("file") }
      return PartitionFile(URL(fileURLWithPath: file))
    }
  }

  private func checkOptions() throws(ApusError) {
    let given: [(option: String, isGiven: Bool)] = [
      ("clients", clients != nil), ("concentration", concentration != nil),
      ("exponent", exponent != nil), ("minimum", minimum != nil),
      ("per-client", perClient != nil), ("file", file != nil),
    ]
    for (option, isGiven) in given where isGiven && !kind.options.contains(option) {
      throw partitionError(
        option, "the kind \"\(kind.rawValue)\" has no such option",
        remedy: Spelling.remedy(for: option, allowed: kind.options))
    }
  }

  private func clientCount() throws(ApusError) -> Int {
    guard let clients else { throw missing("clients") }
    return clients
  }

  private func sizeLaw() throws(ApusError) -> QuantitySkew.Law {
    switch (concentration, exponent) {
    case (let concentration?, nil): return .dirichlet(concentration: concentration)
    case (nil, let exponent?): return .powerLaw(exponent: exponent)
    default:
      throw partitionError(
        "kind", "\"quantity\" takes either a concentration or an exponent",
        remedy: "Give exactly one of the two")
    }
  }

  private func missing(_ option: String) -> ApusError {
    partitionError(
      option, "the kind \"\(kind.rawValue)\" needs this option",
      remedy: "Set \"\(option)\" beside the kind")
  }
}

public import ApusBase

/// One data holder: its place in the federation and its name.
public struct ClientID: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
  /// Place in the federation, from 0; decides the order of summation.
  public let index: Int
  /// Name for people, such as a team or "client 17".
  public let name: String

  /// Names a client.
  public init(index: Int, name: String) {
    self.index = index
    self.name = name
  }

  public static func < (a: ClientID, b: ClientID) -> Bool { a.index < b.index }

  public var description: String { name }
}

/// One round of a run: its index is the only clock there is.
public struct Round: Sendable {
  /// From 0.
  public let index: Int
  /// Number of rounds of the whole run.
  public let total: Int
  /// The stream of this round; every draw of the round comes from a substream.
  public let random: RandomStream
  /// Factor on the server's step towards the mean; 1 unless the way of sampling needs another.
  ///
  /// Uniform sampling with weights pₖ·K/m has Σ wₖ = 1 on average only, and its unbiased step is
  /// Σ wₖΔₖ. A mean divides by Σ wₖ, so engines hand that sum to ``ServerHalf/finish(round:)``
  /// for ``ServerOptimizer/step(_:towards:scale:)``.
  public var stepScale = 1.0

  /// The round `index` of a run with this root stream.
  public init(index: Int, total: Int, root: RandomStream) {
    self.index = index
    self.total = total
    random = root.substream("round", index)
  }

  /// The stream of one client in this round.
  public func random(of client: ClientID) -> RandomStream {
    random.substream("client", client.index)
  }
}

/// Which of a client's (or the federation's) rows are meant.
public enum DataSplit: String, Sendable, Codable, CaseIterable {
  /// Rows to train on.
  case train
  /// Rows to choose settings by.
  case validation
  /// Rows for the final numbers only.
  case test
}

/// Numbers by name, such as accuracy and loss.
public typealias Metrics = [String: Double]

/// What a server half gets to start with.
public struct ServerSetting: Sendable {
  /// The trainable tensors as every client starts with them; names as in Hugging Face files.
  public let initial: NamedTensors
  /// The LoRA pairs among them, for methods that think in products.
  public let factorPairs: [FactorPair]
  /// How updates are combined.
  public let aggregation: Aggregation
  /// Chance of the server's own, from the run's seed.
  public let random: RandomStream
  /// The frozen weights [d_out, d_in] of the adapted projections by site, shared and never written.
  public let weights: NamedTensors
  /// What is known of a client's device.
  public let device: @Sendable (ClientID) -> DeviceTraits
  /// Makes what trains an emulator on the server's own rows; nil if the server has no rows.
  public let aligner: (@Sendable () throws -> any EmulatorAligner)?

  /// Collects what a server half needs.
  ///
  /// - Parameters:
  ///   - initial: Start values of what trains.
  ///   - factorPairs: The LoRA pairs among them.
  ///   - aggregation: How updates are combined.
  ///   - random: Stream of the run's seed, for methods that draw on the server.
  ///   - weights: Frozen weights by site, for methods that decompose them.
  ///   - device: Devices of the clients, for methods that give each what it can do.
  ///   - aligner: Makes the trainer of an emulator, for methods that have one.
  public init(
    initial: NamedTensors, factorPairs: [FactorPair], aggregation: Aggregation,
    random: RandomStream = RandomStream(seed: 0), weights: NamedTensors = NamedTensors(),
    device: @escaping @Sendable (ClientID) -> DeviceTraits = { _ in .ideal },
    aligner: (@Sendable () throws -> any EmulatorAligner)? = nil
  ) {
    self.initial = initial
    self.factorPairs = factorPairs
    self.aggregation = aggregation
    self.random = random
    self.weights = weights
    self.device = device
    self.aligner = aligner
  }
}

/// The two factors of one adapted projection: its delta is scaling · B·A.
public struct FactorPair: Sendable, Hashable {
  /// Module path of the projection.
  public let site: String
  /// Name of A [r, d_in].
  public let a: String
  /// Name of B [d_out, r].
  public let b: String
  /// s, such as alpha / r.
  public let scaling: Double

  /// Names the factors of one site.
  public init(site: String, a: String, b: String, scaling: Double) {
    self.site = site
    self.a = a
    self.b = b
    self.scaling = scaling
  }
}

/// What a client half gets to work with.
public struct ClientSetting {
  /// Which client this is.
  public let id: ClientID
  /// The model with its adapters, and the client's data.
  public let trainer: any LocalTrainer
  /// How the client trains.
  public let training: LocalTraining
  /// The LoRA pairs among the trainable tensors.
  public let factorPairs: [FactorPair]
  /// What the client runs on, as it would measure it.
  public let device: DeviceTraits

  /// Collects what a client half needs.
  public init(
    id: ClientID, trainer: any LocalTrainer, training: LocalTraining,
    factorPairs: [FactorPair] = [], device: DeviceTraits = .ideal
  ) {
    self.id = id
    self.trainer = trainer
    self.training = training
    self.factorPairs = factorPairs
    self.device = device
  }
}

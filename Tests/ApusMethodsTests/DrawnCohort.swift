import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import Testing

/// A server half over one projection, and clients that send drawn factors instead of training.
struct DrawnCohort {
  static let pair = FactorPair(
    site: "q", a: "q.lora_A.weight", b: "q.lora_B.weight", scaling: 0.5)

  /// What one client sends; nₖ is its weight.
  struct Factors {
    var a: Tensor
    var b: Tensor
    var weight: Double
  }

  var server: any ServerHalf
  private(set) var copies: [BaseDeltaCopy]
  /// The brief that each client got last.
  private(set) var briefs: [Int: Message] = [:]
  private(set) var metrics: Metrics = [:]
  /// The frozen weight.
  let weight: Tensor
  private let shape: [Int]
  private let rank: Int
  private var stream: RandomStream

  /// Clients over a weight of this shape [d_out, d_in].
  init(
    _ method: any FederatedMethod, shape: [Int], clients: Int = 4, rank: Int = 2, seed: UInt64 = 1
  ) throws {
    (self.shape, self.rank) = (shape, rank)
    stream = RandomStream(seed: seed).substream("cohort")
    let initial = NamedTensors([
      Self.pair.a: .normal([rank, shape[1]], stream: &stream),
      Self.pair.b: .zeros([shape[0], rank]),
    ])
    weight = Tensor.normal(shape, deviation: 0.3, stream: &stream)
    server = try method.server(
      ServerSetting(
        initial: initial, factorPairs: [Self.pair], aggregation: Aggregation(),
        weights: NamedTensors(["q": weight])))
    copies = Array(repeating: BaseDeltaCopy(), count: clients)
  }

  /// Factors of a client, of its own rank if it has one.
  mutating func draw(rank: Int? = nil) -> Factors {
    Factors(
      a: .normal([rank ?? self.rank, shape[1]], stream: &stream),
      b: .normal([shape[0], rank ?? self.rank], stream: &stream),
      weight: Double(1 + stream.integer(below: 100)))
  }

  /// One round in which these clients send these factors.
  mutating func run(_ index: Int, _ sent: [Int: Factors], stepScale: Double = 1) throws {
    var round = Round(index: index, total: 10, root: RandomStream(seed: 1))
    round.stepScale = stepScale
    for (client, factors) in sent.sorted(by: { $0.key < $1.key }) {
      let id = ClientID(index: client, name: "client \(client)")
      let brief = try Message(encoded: server.brief(for: id, round: round).encoded(), at: "brief")
      briefs[client] = brief
      let hasBase = brief.fields["base_version"] != nil
      if hasBase { try copies[client].update(from: brief) }
      var update = Message(
        tensors: NamedTensors([Self.pair.a: factors.a, Self.pair.b: factors.b]), sampleCount: 1)
      if hasBase { copies[client].stamp(&update) }
      try server.absorb(
        Message(encoded: update.encoded(), at: "update"), from: id, weight: factors.weight,
        round: round)
    }
    metrics = try server.finish(round: round)
  }

  /// s·Σ pₖBₖAₖ in float64.
  static func ideal(_ sent: [Int: Factors]) -> Tensor {
    let total = sent.values.reduce(0) { $0 + $1.weight }
    return stacked(
      sent.values.map {
        matmul($0.b.to(.float64), $0.a.to(.float64)) * ($0.weight / total * pair.scaling)
      }
    ).sum([0])
  }

  /// Δ of the server, zero before the first change.
  var delta: Tensor {
    (BaseDelta(in: server.global).sites["q"] ?? Tensor.zeros(shape)).to(.float64)
  }

  /// s·BA of the server's global factors.
  var product: Tensor {
    let global = server.global
    guard let a = global[Self.pair.a], let b = global[Self.pair.b] else { return delta.zerosLike }
    return matmul(b.to(.float64), a.to(.float64)) * Self.pair.scaling
  }

  /// The tensors of the base delta in a client's last brief.
  func received(_ client: Int) -> NamedTensors {
    briefs[client]?.tensors.filtered { $0.hasPrefix("base_delta.") } ?? NamedTensors()
  }
}

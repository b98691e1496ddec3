import ApusBase
import ApusCore
import ApusTorch

/// s·B·diag(λ)·A·x beside a frozen layer.
final class ToyLoRA: ProjectionAdapter {
  var a: Tensor
  var b: Tensor
  let diagonal: Tensor?
  var scaling: Double

  init(a: Tensor, b: Tensor, diagonal: Tensor?, scaling: Double) {
    (self.a, self.b, self.diagonal, self.scaling) = (a, b, diagonal, scaling)
  }

  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    let inner = linear(input, weight: a)
    return output + linear(diagonal.map { inner * $0 } ?? inner, weight: b) * scaling
  }
}

/// Two frozen linear layers with LoRA pairs and a trained bias: z = W′₂·tanh(W′₁·x) + c, and what a
/// method's extension adds: further adapters, gates, factors of the ranks, a companion.
///
/// - Shapes: x [n, 4], W₁ [5, 4], W₂ [3, 5], features [n, 5], z [n, 3].
final class ToyModel {
  static let shapes = ["first": [5, 4], "second": [3, 5]]

  let frozen: NamedTensors
  /// What trains, by name.
  private(set) var leaves: [String: Tensor]
  let modelExtension: ModelExtension
  private let sites: [String: ProjectionSite]
  private let scaling: Double
  private var companion: CompanionWeight?

  init(scaling: Double, rank: Int, modelExtension: ModelExtension) {
    var stream = RandomStream(seed: 1).substream("backbone")
    func draw(_ shape: [Int]) -> Tensor { Tensor.normal(shape, deviation: 0.5, stream: &stream) }
    let frozen = NamedTensors(["first": draw([5, 4]), "second": draw([3, 5])])
    var start: [String: Tensor] = [
      "first.lora_A.weight": draw([rank, 4]), "first.lora_B.weight": .zeros([5, rank]),
      "second.lora_A.weight": draw([rank, 5]), "second.lora_B.weight": .zeros([3, rank]),
      "head.bias": .zeros([3]),
    ]
    for pair in ToyTrainer.pairs {
      guard let shape = Self.shapes[pair.site] else { continue }
      let emulator: [ModelExtension.NamedAdapter] =
        modelExtension.emulator == nil ? [] : [.init(EmulatorPlan.adapterName)]
      for adapter in modelExtension.adapters + emulator {
        let own = pair.inAdapter(adapter.name)
        start[own.a] = draw([adapter.rank ?? rank, shape[1]])
        start[own.b] = .zeros([shape[0], adapter.rank ?? rank])
      }
      if modelExtension.hasGate {
        start[ModelExtension.gate(besideA: pair.a)] =
          draw([modelExtension.adapterNames.count, shape[1]])
      }
      if modelExtension.hasDiagonal {
        start[ModelExtension.diagonal(besideA: pair.a)] = .ones([rank])
      }
    }
    if let companion = modelExtension.companion {
      // Of its own stream, so that it is the same beside adapters of any rank.
      stream = RandomStream(seed: 1).substream("companion")
      start["companion.down.weight"] = draw([companion.rank, 4])
      start["companion.up.weight"] =
        companion.output == .scores ? .zeros([3, companion.rank]) : draw([5, companion.rank])
    }
    let facts = ModelFacts(
      layers: ["first", "second"], factorPairs: ToyTrainer.pairs, ranks: [rank, rank])
    for (name, tensor) in modelExtension.own?(facts, RandomStream(seed: 4)) ?? NamedTensors() {
      start[name] = tensor
    }
    var leaves = start.mapValues { $0.requiringGradient() }
    var sites: [String: ProjectionSite] = [:]
    for pair in ToyTrainer.pairs {
      guard let weight = frozen[pair.site] else { continue }
      let site = ProjectionSite(weight.size(1), weight.size(0), bias: false)
      site.base.weight.value = weight
      for name in modelExtension.adapterNames {
        let own = pair.inAdapter(name)
        guard let a = leaves[own.a], let b = leaves[own.b] else { continue }
        let diagonal =
          name == AdapterName.standard
          ? leaves[ModelExtension.diagonal(besideA: pair.a)] : nil
        site.attach(ToyLoRA(a: a, b: b, diagonal: diagonal, scaling: scaling), named: name)
      }
      if let plan = modelExtension.sparse {
        let sparse = SparseWeights(
          plan.mask(pair.site, shape: weight.shape, rank: rank), of: weight)
        site.attach(sparse, named: SparseWeights.name)
        leaves[SparsePlan.name(besideA: pair.a)] = sparse.values
      }
      site.gate = leaves[ModelExtension.gate(besideA: pair.a)].map {
        AdapterGate($0, for: modelExtension.adapterNames)
      }
      sites[pair.site] = site
    }
    (self.frozen, self.leaves, self.sites, self.scaling) = (frozen, leaves, sites, scaling)
    self.modelExtension = modelExtension
  }

  /// Copies of everything that trains.
  var values: NamedTensors { NamedTensors(leaves).copied() }

  /// Gives the standard adapter of a site zeros of another rank.
  func resize(_ pair: FactorPair, toRank rank: Int) {
    guard let lora = standard(pair.site) else { return }
    lora.a = Tensor.zeros([rank, lora.a.size(1)]).requiringGradient()
    lora.b = Tensor.zeros([lora.b.size(0), rank]).requiringGradient()
    (leaves[pair.a], leaves[pair.b]) = (lora.a, lora.b)
  }

  /// Sets s of the standard adapters by site, the usual one for others.
  func rescale(_ scalings: [String: Double]) {
    for name in sites.keys { standard(name)?.scaling = scalings[name] ?? scaling }
  }

  private func standard(_ site: String) -> ToyLoRA? {
    sites[site]?.adapters.first { $0.name == AdapterName.standard }?.adapter as? ToyLoRA
  }

  func load(_ mixture: AdapterMixture) {
    for site in sites.values { site.mixture = mixture }
    companion = mixture.companion
  }

  func load(_ delta: BaseDelta) {
    for (name, site) in sites {
      guard let weight = frozen[name] else { continue }
      site.base.weight.value = delta.sites[name].map { weight + $0 } ?? weight
    }
  }

  /// Scores [n, 3] and what the second layer sees [n, 5].
  func output(_ x: Tensor) -> (scores: Tensor, features: Tensor) {
    let pass = ForwardPass(layout: RowLayout(lengths: Array(repeating: 1, count: x.size(0))))
    guard let first = sites["first"], let second = sites["second"] else { return (x, x) }
    var features = tanh(first(x, pass))
    let kind = modelExtension.companion?.output
    let own = kind == nil ? nil : companionOutput(x)
    if kind == .features, let companion, let own { features = companion.mixed(features, own) }
    var scores = second(features, pass)
    if let bias = leaves["head.bias"] { scores = scores + bias }
    if kind == .scores, let companion, let own { scores = companion.mixed(scores, own) }
    return (scores, features)
  }

  private func companionOutput(_ x: Tensor) -> Tensor? {
    guard let down = leaves["companion.down.weight"], let up = leaves["companion.up.weight"] else {
      return nil
    }
    let output = linear(gelu(linear(x, weight: down)), weight: up)
    return modelExtension.companion?.output == .features ? relu(output) : output
  }

  /// The frozen layers alone.
  func frozenScores(_ x: Tensor) -> Tensor {
    guard let first = sites["first"], let second = sites["second"] else { return x }
    return second.base(tanh(first.base(x)))
  }

  /// What goes into each layer.
  func layerInputs(_ x: Tensor) -> [Tensor] { [x, output(x).features] }
}

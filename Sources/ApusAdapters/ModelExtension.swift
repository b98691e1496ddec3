public import ApusBase
public import ApusCore
internal import ApusTorch

extension AdaptedModel {
  /// Puts on the model what a method needs beside the standard set, except a companion.
  ///
  /// Further sets are of the standard one's kind, at the same sites; with a rank of their own they
  /// keep its scaling.
  ///
  /// - Parameters:
  ///   - parts: What the method needs.
  ///   - random: Start values come from substreams by name.
  /// - Throws: ``ApusError`` `.unsupported` for factors of ranks where adapters are no LoRA.
  public func extend(by parts: ModelExtension, random: RandomStream) throws(ApusError) {
    for further in parts.adapters {
      try add(named: further.name, configuration(rank: further.rank), random: random)
    }
    let standard = adapters[0]
    for (pair, member) in zip(standard.factorPairs, standard.members) {
      if parts.hasGate {
        var stream = random.substream("gate").substream(member.path)
        let inputs = member.site.base.inputs
        let bound = 1 / Double(inputs).squareRoot()
        let weight = Tensor.uniform(
          [parts.adapterNames.count, inputs], low: -bound, high: bound, stream: &stream)
        let leaf = weight.to(device: member.site.base.weight.value.device).requiringGradient()
        member.site.gate = AdapterGate(leaf, for: parts.adapterNames)
        extended.append((ModelExtension.gate(besideA: pair.a), leaf))
      }
      if let plan = parts.sparse {
        let weight = member.site.base.weight.value
        let mask = plan.mask(member.path, shape: weight.shape, rank: member.adapter.rank)
        let sparse = SparseWeights(mask, of: weight)
        member.site.attach(sparse, named: SparseWeights.name)
        extended.append((SparsePlan.name(besideA: pair.a), sparse.values))
      }
      if parts.hasDiagonal {
        guard let lora = member.adapter as? LoRA else {
          throw ApusError(
            .unsupported, at: "adapter, kind",
            "the method gives ranks factors, which only LoRA has",
            remedy: "Use the adapter lora")
        }
        let leaf = Tensor.ones([lora.rank], device: lora.a.device).requiringGradient()
        lora.diagonal = leaf
        extended.append((ModelExtension.diagonal(besideA: pair.a), leaf))
      }
    }
    for (name, value) in parts.own?(facts, random.substream("own")) ?? NamedTensors() {
      extended.append((name, value.requiringGradient()))
    }
    try Tensor.check("adapters")
  }

  /// The standard set's configuration with another rank and the same scaling at every site.
  private func configuration(rank: Int?) -> AdapterConfiguration {
    guard let rank else { return configuration }
    var other = configuration
    let root = other.useRSLoRA
    func alpha(_ alpha: Double, from former: Int) -> Double {
      let share = Double(rank) / Double(former)
      return alpha * (root ? share.squareRoot() : share)
    }
    (other.rank, other.rankPattern) = (rank, [:])
    other.alpha = alpha(configuration.alpha, from: configuration.rank)
    other.alphaPattern = [:]
    return other
  }

  /// What the shape of a method's own tensors can depend on.
  private var facts: ModelFacts {
    ModelFacts(
      layers: linearLayers.map(\.path), factorPairs: adapters[0].factorPairs,
      ranks: adapters[0].members.map(\.adapter.rank))
  }

  /// The model's linear layers, each once, in the order of their paths.
  var linearLayers: [(path: String, layer: Linear)] {
    var seen: Set<ObjectIdentifier> = []
    var found: [(path: String, layer: Linear)] = []
    model.walk { path, module in
      guard let layer = module as? Linear, seen.insert(ObjectIdentifier(layer)).inserted else {
        return
      }
      found.append((path, layer))
    }
    return found.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  /// Sets how the sets of adapters act together, and which blocks run.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for a share of a set that the model does not have,
  ///   `.invalidConfig` for an emulator of more blocks than there are.
  public func load(_ mixture: AdapterMixture) throws(ApusError) {
    let known = adapters.map(\.name)
    if let unknown = mixture.shares.keys.sorted().first(where: { !known.contains($0) }) {
      throw ApusError(
        .unsupported, at: "adapters", "there is no set \"\(unknown)\"",
        remedy: Spelling.remedy(for: unknown, allowed: known))
    }
    let entrances = entrances
    let modes = try mixture.emulator?.modes(of: entrances.count)
    for (index, entrance) in entrances.enumerated() { entrance.mode = modes?[index] ?? .asGiven }
    for (_, site) in sites { site.mixture = mixture }
  }

  /// Mean and variance of what goes into each linear layer while `body` runs the model.
  public func inputMoments(during body: () throws -> Void) rethrows -> [RunningMoments] {
    let layers = linearLayers
    var moments = [RunningMoments](repeating: RunningMoments(), count: layers.count)
    for (index, (_, layer)) in layers.enumerated() {
      layer.observer = { moments[index].add($0) }
    }
    defer { for (_, layer) in layers { layer.observer = nil } }
    try body()
    return moments
  }
}

public import ApusBase
public import ApusCore
public import ApusTorch

/// A model with LoRA at its projections: what is trained, by the names that Hugging Face PEFT uses.
///
/// The frozen tensors stay shared with every other model of the backbone; adapters, trained biases
/// and wholly trained modules are this model's own.
public final class AdaptedModel {
  /// The model itself.
  public let model: Module
  /// Where the adapters act.
  public let configuration: LoRAConfiguration
  /// Every tensor that trains: its name and the leaf, float32, in the order of the names' bytes.
  public let trainables: [(name: String, leaf: Tensor)]
  /// The factors among them, site by site, for servers that think in products.
  public let factorPairs: [FactorPair]
  /// Whether the adapters are added to the weights at the moment.
  public private(set) var isMerged = false
  /// What is added to the frozen weights beside the adapters; it does not train.
  public private(set) var baseDelta = BaseDelta()
  private let adapted: [(site: ProjectionSite, adapter: LoRA)]
  /// What replaced parameters were before, to be put back.
  private let replaced: [(parameter: Parameter, former: Tensor)]
  /// Parameters of the head, which are stored even where they do not train.
  private let head: [(name: String, parameter: Parameter)]
  private var unmerged: [Tensor] = []

  /// What PEFT puts before the module paths.
  static let prefix = "base_model.model."
  /// Modules that PEFT stores with every classifier.
  static let headNames = ["classifier", "score"]

  /// Puts fresh adapters at the projections that the configuration names.
  ///
  /// - Parameters:
  ///   - model: Frozen, without adapters.
  ///   - configuration: Where, and with which ranks.
  ///   - random: Start values come from substreams by module path, in any order the same.
  /// - Throws: ``ApusError`` `.silentFailure` if a target or a module to train matches nothing,
  ///   `.invalidConfig` for values that make no sense.
  public convenience init(
    _ model: Module, _ configuration: LoRAConfiguration, random: RandomStream
  ) throws(ApusError) {
    try self.init(model, configuration, random: random, strictly: true)
  }

  /// As above; `strictly` is false for folders of others, where one matching target is enough.
  init(
    _ model: Module, _ configuration: LoRAConfiguration, random: RandomStream, strictly: Bool
  ) throws(ApusError) {
    try configuration.validate()
    let choices = try SiteSelection(in: model, configuration, strictly: strictly).choices
    let trained = try TrainedParameters(in: model, configuration, choices, strictly: strictly)
    var leaves: [String: Tensor] = [:]
    var pairs: [FactorPair] = []
    adapted = choices.map { choice in
      let adapter = LoRA(
        for: choice.site.base, rank: choice.rank, scaling: choice.scaling,
        dropout: configuration.dropout, random: random.substream("lora_A").substream(choice.path))
      let pair = FactorPair(
        site: choice.path, a: "\(Self.prefix)\(choice.path).lora_A.weight",
        b: "\(Self.prefix)\(choice.path).lora_B.weight", scaling: choice.scaling)
      (leaves[pair.a], leaves[pair.b]) = (adapter.a, adapter.b)
      pairs.append(pair)
      return (choice.site, adapter)
    }
    head = TrainedParameters.below(Self.headNames, in: model)
      .map { ("\(Self.prefix)\($0.name)", $0.parameter) }
    let stored = Self.headNames + configuration.modulesToSave
    try Self.requireStored(model.drawnModules, by: stored)
    replaced = (trained.parameters.map(\.parameter) + head.map(\.parameter))
      .map { ($0, $0.value) }
    for (name, parameter) in trained.parameters {
      let leaf = parameter.value.detached().to(.float32).cloned().requiringGradient()
      parameter.value = leaf
      leaves[Self.prefix + name] = leaf
    }
    for (site, adapter) in adapted { site.attach(adapter) }
    let named = NamedTensors(leaves)
    trainables = named.map { ($0.name, $0.tensor) }
    factorPairs = pairs
    self.model = model
    self.configuration = configuration
    try Tensor.check("adapters")
  }

  /// Refuses layers that were drawn and that no adapter folder would hold: whoever opens it would
  /// draw others.
  private static func requireStored(
    _ drawn: [String], by names: [String]
  ) throws(ApusError) {
    for path in drawn where !names.contains(where: { ".\(path).".contains("\($0).") }) {
      throw ApusError(
        .silentFailure, at: "modules-to-save",
        "the checkpoint has no \(path), and the adapter would not store what was drawn for it",
        remedy: "Add \(path) to the modules to save")
    }
  }

  /// Copies of the trainable tensors as they are now.
  public var values: NamedTensors {
    NamedTensors(Dictionary(uniqueKeysWithValues: trainables.map { ($0.name, $0.leaf) })).copied()
  }

  /// Copies of what an adapter folder holds: the trainables, and the head also if it is frozen.
  var storedValues: NamedTensors {
    let frozen = head.map { ($0.name, $0.parameter.value) }
    return NamedTensors(Dictionary(frozen) { first, _ in first }).copied().merging(values)
  }

  /// Overwrites trainable tensors by name; those not named keep their values.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for an unknown name or another shape, before anything
  ///   is written.
  public func load(_ values: NamedTensors) throws(ApusError) {
    let leaves = Dictionary(uniqueKeysWithValues: trainables.map { ($0.name, $0.leaf) })
    for (name, value) in values {
      guard let leaf = leaves[name] else {
        throw ApusError(
          .shapeMismatch, at: name, "no such tensor is trained",
          remedy: Spelling.suggestion(for: name, in: leaves.keys.sorted())
            .map { "Did you mean \"\($0)\"?" } ?? "Use one configuration of the adapter")
      }
      guard leaf.shape == value.shape else {
        throw ApusError(
          .shapeMismatch, at: name, "expected shape \(leaf.shape), got \(value.shape)",
          remedy: "Give all sides one configuration of the adapter, ranks included")
      }
    }
    let wasMerged = isMerged
    unmerge()
    for (name, value) in values { leaves[name]?.assignInPlace(value.detached()) }
    if wasMerged { merge() }
    try Tensor.check("adapters")
  }

  /// Sets what is added to the frozen weights; sites that the delta does not name get nothing.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for a site without an adapter or another shape, before
  ///   anything is changed.
  public func load(_ delta: BaseDelta) throws(ApusError) {
    for (path, value) in delta.sites {
      let place = factorPairs.firstIndex { $0.site == path }
      guard let shape = place.map({ adapted[$0].site.base.weight.shape }), shape == value.shape
      else {
        throw ApusError(
          .shapeMismatch, at: "base delta, \(path)",
          "there is no adapted projection with a weight of shape \(value.shape)",
          remedy: "Give all sides one checkpoint and one configuration of the adapter")
      }
    }
    let wasMerged = isMerged
    unmerge()
    baseDelta = delta
    attachBaseDelta()
    if wasMerged { merge() }
    try Tensor.check("base delta")
  }

  /// Lets the delta of each site act there, behind the adapter; removes one that is gone.
  private func attachBaseDelta() {
    for (pair, (site, _)) in zip(factorPairs, adapted) {
      site.detach(named: WeightDelta.name)
      guard let delta = baseDelta.sites[pair.site] else { continue }
      site.attach(WeightDelta(delta, for: site.base), named: WeightDelta.name)
    }
  }

  /// Gives a frozen head the values that a folder holds for it.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for a head of another number of classes.
  func loadHead(_ values: NamedTensors) throws(ApusError) {
    let trained = Set(trainables.map(\.name))
    for (name, parameter) in head where !trained.contains(name) {
      guard let value = values[name] else { continue }
      guard value.shape == parameter.shape else {
        throw ApusError(
          .shapeMismatch, at: name, "expected shape \(parameter.shape), got \(value.shape)",
          remedy: "Make the model with as many classes as the adapter has")
      }
      parameter.value = value.detached().to(.float32).cloned()
    }
  }

  /// Whether an adapted matrix has its axes exchanged in the checkpoint.
  var isStoredTransposed: Bool { adapted.contains { $0.site.base.weight.isStoredTransposed } }

  /// Adds s·BA and the base delta to the weights, so that the model runs without adapters.
  ///
  /// In float32; beside a bfloat16 backbone the sum is rounded once. Nothing trains meanwhile.
  public func merge() {
    guard !isMerged else { return }
    unmerged = adapted.map(\.site.base.weight.value)
    for (pair, (site, adapter)) in zip(factorPairs, adapted) {
      let weight = site.base.weight.value
      let base = baseDelta.sites[pair.site].map {
        $0.to(device: weight.device) + weight.to(.float32)
      }
      site.base.weight.value = adapter.merged(into: base ?? weight).to(weight.dtype)
      site.detach()
      site.detach(named: WeightDelta.name)
    }
    isMerged = true
  }

  /// Puts the former weights back, bit for bit, and the adapters beside them.
  public func unmerge() {
    guard isMerged else { return }
    for ((site, adapter), weight) in zip(adapted, unmerged) {
      site.base.weight.value = weight
      site.attach(adapter)
    }
    attachBaseDelta()
    unmerged = []
    isMerged = false
  }

  /// Takes everything away again: the model is as it was before.
  public func detach() {
    unmerge()
    for (site, _) in adapted {
      site.detach()
      site.detach(named: WeightDelta.name)
    }
    for (parameter, former) in replaced { parameter.value = former }
  }
}

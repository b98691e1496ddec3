public import ApusBase
public import ApusCore
public import ApusTorch

/// A model with adapters at its projections: what is trained, by the names of Hugging Face PEFT.
///
/// The frozen tensors stay shared with every other model of the backbone; adapters, trained biases
/// and wholly trained modules are this model's own.
public final class AdaptedModel {
  /// The model itself.
  public let model: Module
  /// The adapters, set by set, in the order in which they act; the first is the standard one.
  public private(set) var adapters: [AdapterSet]
  /// Whether the adapters are added to the weights at the moment.
  public private(set) var isMerged = false
  /// What is added to the frozen weights beside the adapters; it does not train.
  public private(set) var baseDelta = BaseDelta()
  /// What trains as it is: whole modules, biases, the head.
  private let modules: TrainedModules
  /// What a method's extension adds beside the sets: gates, factors of ranks, tensors of its own.
  var extended: [(name: String, leaf: Tensor)] = []
  /// The entrances of the model's blocks.
  private(set) lazy var entrances = model.entrances
  /// Weights as they were before merging, by projection.
  private var unmerged: [Tensor] = []

  /// What PEFT puts before the module paths.
  static let prefix = "base_model.model."

  /// Puts fresh adapters at the projections that the configuration names.
  ///
  /// - Parameters:
  ///   - model: Frozen, without adapters.
  ///   - configuration: Where, and with which ranks.
  ///   - random: Start values come from substreams by module path, in any order the same.
  /// - Throws: ``ApusError`` `.silentFailure` if a target or a module to train matches nothing,
  ///   `.invalidConfig` for values that make no sense.
  public convenience init(
    _ model: Module, _ configuration: AdapterConfiguration, random: RandomStream
  ) throws(ApusError) {
    try self.init(model, configuration, random: random, strictly: true)
  }

  /// As above; `strictly` is false for folders of others, where one matching target is enough.
  init(
    _ model: Module, _ configuration: AdapterConfiguration, random: RandomStream, strictly: Bool
  ) throws(ApusError) {
    try configuration.validate()
    let choices = try SiteSelection(in: model, configuration, strictly: strictly).choices
    modules = try TrainedModules(in: model, configuration, choices, strictly: strictly)
    let first = AdapterSet(
      named: AdapterSet.standardName, configuration, at: choices, random: random)
    first.attach()
    adapters = [first]
    self.model = model
    try Tensor.check("adapters")
  }

  /// Puts a further set of fresh adapters on the model, which acts after those that are there.
  ///
  /// - Parameters:
  ///   - name: Of the set, such as `local`.
  ///   - configuration: Where, and with which ranks; modules and biases that train as they are stay
  ///     those of the first set.
  ///   - random: Start values come from substreams by the set's name and module path.
  /// - Throws: ``ApusError`` `.invalidConfig` for a name that is taken or values that make no sense,
  ///   `.silentFailure` if a target matches nothing.
  public func add(
    named name: String, _ configuration: AdapterConfiguration, random: RandomStream
  ) throws(ApusError) {
    guard !name.isEmpty, name != WeightDelta.name, !adapters.contains(where: { $0.name == name })
    else {
      throw ApusError(
        .invalidConfig, at: "adapters", "the name \"\(name)\" is taken",
        remedy: "Give each set of adapters a name of its own")
    }
    try configuration.validate()
    let choices = try SiteSelection(in: model, configuration, strictly: true).choices
    let wasMerged = isMerged
    unmerge()
    adapters.append(
      AdapterSet(named: name, configuration, at: choices, random: random.substream(name)))
    attach()
    if wasMerged { merge() }
    try Tensor.check("adapters")
  }

  /// Where the adapters of the standard set act, as they began.
  public var configuration: AdapterConfiguration { adapters[0].configuration }

  /// Every tensor that trains: its name and the leaf, float32, in the order of the names' bytes.
  public var trainables: [(name: String, leaf: Tensor)] {
    NamedTensors(leaves).map { ($0.name, $0.tensor) }
  }

  private var leaves: [String: Tensor] {
    let all = adapters.flatMap(\.trainables) + modules.trainables + extended
    return Dictionary(all.map { ($0.name, $0.leaf) }) { first, _ in first }
  }

  /// The factors among them, set by set and site by site, for servers that think in products.
  public var factorPairs: [FactorPair] { adapters.flatMap(\.factorPairs) }

  /// The projections that have an adapter, each once.
  var sites: [(path: String, site: ProjectionSite)] {
    var seen: Set<String> = []
    return adapters.flatMap(\.members).filter { seen.insert($0.path).inserted }
      .map { ($0.path, $0.site) }
  }

  /// Copies of the trainable tensors as they are now.
  public var values: NamedTensors { NamedTensors(leaves).copied() }

  /// Copies of what a folder of the standard set holds: what trains in it, what its adapters share,
  /// and the head also if it is frozen.
  var storedValues: NamedTensors { storedValues(of: adapters[0]) }

  /// The same of any set.
  func storedValues(of set: AdapterSet) -> NamedTensors {
    let trained = Dictionary(modules.trainables.map { ($0.name, $0.leaf) }) { first, _ in first }
    return modules.headValues.merging(NamedTensors(trained)).merging(set.stored).copied()
  }

  /// Overwrites trainable tensors by name; those not named keep their values.
  ///
  /// An adapter takes tensors of another rank than it has if all of them are given; its scaling
  /// stays what it was.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for an unknown name or another shape, before anything
  ///   is written.
  public func load(_ values: NamedTensors) throws(ApusError) {
    let resizings = adapters.flatMap { $0.resizings(for: values) }
    let resized = Set(resizings.map { ObjectIdentifier($0.adapter) })
    let known = leaves
    let free = Set(
      adapters.flatMap { $0.names { resized.contains(ObjectIdentifier($0)) } })
    for (name, value) in values where !free.contains(name) {
      guard let leaf = known[name] else {
        throw ApusError(
          .shapeMismatch, at: name, "no such tensor is trained",
          remedy: Spelling.suggestion(for: name, in: known.keys.sorted())
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
    for (adapter, rank) in resizings { adapter.resize(toRank: rank) }
    let targets = leaves
    for (name, value) in values { targets[name]?.assignInPlace(value.detached()) }
    if wasMerged { merge() }
    try Tensor.check("adapters")
  }

  /// Sets the scaling s of the standard set's adapters by module path; others get their own back.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for a site that has no LoRA, before anything is changed.
  public func rescale(_ scalings: [String: Double]) throws(ApusError) {
    let members = adapters[0].members.map { ($0.path, $0.adapter as? LoRA) }
    let known = Set(members.filter { $0.1 != nil }.map(\.0))
    if let path = scalings.keys.filter({ !known.contains($0) }).min() {
      throw ApusError(
        .unsupported, at: path, "the site has no LoRA whose scaling could be set",
        remedy: "Use plain LoRA with methods whose clients have ranks of their own")
    }
    let wasMerged = isMerged
    unmerge()
    for (path, adapter) in members { adapter?.rescale(scalings[path]) }
    if wasMerged { merge() }
  }

  /// The frozen weights [d_out, d_in] of the adapted projections by module path, shared.
  public var frozenWeights: NamedTensors {
    let unchanged = isMerged ? unmerged : sites.map(\.site.base.weight.value)
    return NamedTensors(Dictionary(uniqueKeysWithValues: zip(sites.map(\.path), unchanged)))
  }

  /// Gives a frozen head, and what adapters share, the values that a folder holds for them.
  func loadFrozen(_ values: NamedTensors) throws(ApusError) {
    for (name, tensor) in adapters[0].shared {
      guard let value = values[name] else { continue }
      guard value.shape == tensor.shape else {
        throw ApusError(
          .shapeMismatch, at: name, "expected shape \(tensor.shape), got \(value.shape)",
          remedy: "Take both files of the adapter, and the base model, from one training")
      }
      tensor.assignInPlace(value.detached())
    }
    try modules.loadHead(values)
  }

  /// What acts around each optimizer step for the sake of the adapters; fresh for every phase.
  public func makeStepHooks() -> [any StepHook] { adapters.flatMap { $0.makeStepHooks() } }

  /// Sets what is added to the frozen weights; sites that the delta does not name get nothing.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for a site without an adapter or another shape, before
  ///   anything is changed.
  public func load(_ delta: BaseDelta) throws(ApusError) {
    let sites = sites
    for path in delta.paths {
      let place = sites.first { $0.path == path }
      let shape = delta.shape(of: path)
      guard let place, place.site.base.weight.shape == shape else {
        throw ApusError(
          .shapeMismatch, at: "base delta, \(path)",
          "there is no adapted projection with a weight of shape \(shape ?? [])",
          remedy: "Give all sides one checkpoint and one configuration of the adapter")
      }
    }
    let wasMerged = isMerged
    unmerge()
    baseDelta = delta
    attach()
    if wasMerged { merge() }
    try Tensor.check("base delta")
  }

  /// Lets every adapter act at its site, and the delta of each site behind them.
  private func attach() {
    for (path, site) in sites {
      site.detach(named: WeightDelta.name)
      for set in adapters {
        for member in set.members where member.path == path {
          site.attach(member.adapter, named: set.name)
        }
      }
      guard let delta = WeightDelta(of: path, in: baseDelta, for: site.base) else { continue }
      site.attach(delta, named: WeightDelta.name)
    }
  }

  /// Whether an adapted matrix has its axes exchanged in the checkpoint.
  var isStoredTransposed: Bool {
    adapters.contains { $0.members.contains { $0.site.base.weight.isStoredTransposed } }
  }

  /// Adds the adapters and the base delta to the weights, so that the model runs without them.
  ///
  /// In float32; beside a bfloat16 backbone the sum is rounded once. Nothing trains meanwhile.
  public func merge() {
    guard !isMerged else { return }
    let sites = sites
    unmerged = sites.map(\.site.base.weight.value)
    let members = Dictionary(grouping: adapters.flatMap(\.members), by: \.path)
    for ((path, site), weight) in zip(sites, unmerged) {
      let frozen = weight.to(.float32)
      var merged =
        baseDelta.matrix(of: path).map { $0.to(device: weight.device) + frozen } ?? frozen
      for member in members[path] ?? [] { merged = merged + member.adapter.change(of: frozen) }
      site.base.weight.value = merged.to(weight.dtype)
    }
    detachAdapters()
    isMerged = true
  }

  private func detachAdapters() {
    for set in adapters { set.detach() }
    for (_, site) in sites { site.detach(named: WeightDelta.name) }
  }

  /// Puts the former weights back, bit for bit, and the adapters beside them.
  public func unmerge() {
    guard isMerged else { return }
    for ((_, site), weight) in zip(sites, unmerged) { site.base.weight.value = weight }
    attach()
    unmerged = []
    isMerged = false
  }

  /// Takes everything away again: the model is as it was before.
  public func detach() {
    unmerge()
    detachAdapters()
    modules.restore()
  }
}

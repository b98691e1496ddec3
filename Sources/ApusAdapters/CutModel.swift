public import ApusBase
public import ApusCore

extension AdaptedModel {
  /// Puts fresh adapters on a model, with what a method needs beside them.
  ///
  /// Where the method cuts the model, the configured adapters are those of its last blocks, and the
  /// emulator's kept blocks have a set of their own of the same configuration, without dropout.
  ///
  /// - Parameters:
  ///   - model: Frozen, without adapters.
  ///   - configuration: Where, and with which ranks.
  ///   - parts: What the method needs.
  ///   - random: Start values of the configured adapters, by module path.
  ///   - further: Start values of everything else, by name.
  /// - Throws: ``ApusError`` as ``init(_:_:random:)`` and ``extend(by:random:)``, and `.invalidConfig`
  ///   for a cut that leaves one side without blocks.
  public convenience init(
    _ model: Module, _ configuration: AdapterConfiguration, extendedBy parts: ModelExtension,
    random: RandomStream, further: RandomStream
  ) throws(ApusError) {
    guard let plan = parts.emulator else {
      try self.init(model, configuration, random: random)
      try extend(by: parts, random: further)
      return
    }
    let count = model.entrances.count
    let upper = try configuration.limited(to: Set(plan.adapted(of: count)), of: model)
    var lower = try configuration.limited(to: Set(plan.kept(of: count)), of: model)
    (lower.dropout, lower.modulesToSave, lower.bias) = (0, [], .none)
    try self.init(model, upper, random: random)
    try add(named: EmulatorPlan.adapterName, lower, random: further)
    try extend(by: parts, random: further)
  }
}

extension AdapterConfiguration {
  /// The same in some blocks of a model alone, with every projection named by its whole path.
  ///
  /// - Throws: ``ApusError`` `.silentFailure` if no projection is chosen in these blocks.
  func limited(to blocks: Set<Int>, of model: Module) throws(ApusError) -> AdapterConfiguration {
    try validate()
    let paths = try SiteSelection(in: model, self, strictly: true).choices.map(\.path)
      .filter { SiteLayers.block(of: $0).map(blocks.contains) ?? false }
    guard !paths.isEmpty else {
      throw ApusError(
        .silentFailure, at: "targets",
        "no projection of the blocks \(blocks.sorted().map(String.init).joined(separator: ", ")) "
          + "is chosen, where the method needs adapters",
        remedy: "Check targets, excludes and layers of the adapter")
    }
    var limited = self
    (limited.targets, limited.layers) = (.names(paths), [])
    return limited
  }
}

internal import ApusBase
internal import ApusCore

/// Parameters of the frozen model that train besides the adapters: whole modules and biases.
struct TrainedParameters {
  /// The parameters, each once, with the name that PEFT's files give it below their prefix.
  let parameters: [(name: String, parameter: Parameter)]

  /// Chooses the parameters.
  ///
  /// - Parameters:
  ///   - model: Whose parameters are asked.
  ///   - configuration: Names the modules, and which biases.
  ///   - choices: The projections that get an adapter.
  ///   - strictly: Whether every module to train must exist.
  /// - Throws: ``ApusError`` `.silentFailure` that names a module which does not exist.
  init(
    in model: Module, _ configuration: AdapterConfiguration, _ choices: [SiteSelection.Choice],
    strictly: Bool
  ) throws(ApusError) {
    var chosen = Self.below(configuration.modulesToSave, in: model)
    if strictly {
      for name in configuration.modulesToSave where Self.below([name], in: model).isEmpty {
        throw ApusError(
          .silentFailure, at: "modules-to-save", "\"\(name)\" matches no module with parameters",
          remedy: "Name the end of a module's path, such as classifier")
      }
    }
    // PEFT wraps an adapted layer, which shows in the names of its own parameters only.
    let wrapped = Set(choices.map(\.path))
    for (key, parameter) in model.parameters where Self.isBias(key) {
      let module = String(key.dropLast(".bias".count))
      let isAdapted = wrapped.contains(module)
      guard configuration.bias == .all || (configuration.bias == .adapted && isAdapted) else {
        continue
      }
      chosen.append((isAdapted ? "\(module).base_layer.bias" : key, parameter))
    }
    var seen: Set<ObjectIdentifier> = []
    parameters = chosen.filter { seen.insert(ObjectIdentifier($0.parameter)).inserted }
  }

  /// All parameters of the modules whose path ends in one of the names, as PEFT compares them.
  static func below(
    _ names: [String], in model: Module
  ) -> [(name: String, parameter: Parameter)] {
    var found: [(name: String, parameter: Parameter)] = []
    var seen: Set<ObjectIdentifier> = []
    model.walk { path, module in
      guard names.contains(where: path.hasSuffix) else { return }
      for (key, parameter) in module.parameters
      where seen.insert(ObjectIdentifier(parameter)).inserted {
        found.append(("\(path).\(key)", parameter))
      }
    }
    return found
  }

  private static func isBias(_ key: String) -> Bool { key.hasSuffix(".bias") }
}

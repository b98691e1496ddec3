internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// The part of a model that trains as it is, beside adapters: whole modules, biases, the head.
///
/// Each trained parameter gets a copy in float32 of its own, as the backbone's tensors are shared.
final class TrainedModules {
  /// What PEFT stores with every classifier.
  static let headNames = ["classifier", "score"]

  /// The heads that are stored with an adapter, trained or not.
  private static let storedNames = headNames + ["qa_outputs"]

  /// Every tensor that trains: its name and the leaf.
  let trainables: [(name: String, leaf: Tensor)]
  /// What replaced parameters were before, to be put back.
  private let replaced: [(parameter: Parameter, former: Tensor)]
  /// Parameters of the head, which are stored even where they do not train.
  private let head: [(name: String, parameter: Parameter)]

  /// Makes leaves of the parameters that the configuration names.
  ///
  /// - Parameters:
  ///   - model: Whose parameters train.
  ///   - configuration: Which of them.
  ///   - choices: The projections that get an adapter.
  ///   - strictly: Whether every module to train must exist.
  /// - Throws: ``ApusError`` `.silentFailure` for a module that does not exist, or one that was
  ///   drawn and would not be stored; the model is then as before.
  init(
    in model: Module, _ configuration: AdapterConfiguration, _ choices: [SiteSelection.Choice],
    strictly: Bool
  ) throws(ApusError) {
    let trained = try TrainedParameters(in: model, configuration, choices, strictly: strictly)
    head = TrainedParameters.below(Self.storedNames, in: model)
      .map { ("\(AdaptedModel.prefix)\($0.name)", $0.parameter) }
    try Self.requireStored(model.drawnModules, by: Self.storedNames + configuration.modulesToSave)
    replaced = (trained.parameters.map(\.parameter) + head.map(\.parameter))
      .map { ($0, $0.value) }
    trainables = trained.parameters.map { name, parameter in
      let leaf = parameter.value.detached().to(.float32).cloned().requiringGradient()
      parameter.value = leaf
      return (AdaptedModel.prefix + name, leaf)
    }
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

  /// The head's tensors as they are, trained or frozen.
  var headValues: NamedTensors {
    NamedTensors(Dictionary(head.map { ($0.name, $0.parameter.value) }) { first, _ in first })
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

  /// Puts the former tensors back.
  func restore() {
    for (parameter, former) in replaced { parameter.value = former }
  }
}

public import ApusAdapters
public import ApusBase
public import ApusCore
public import ApusTorch

/// One worker's model: a thin tree over the shared backbone, with adapters and head of its own.
public struct WorkerModel {
  /// The model and what it is trained to do.
  public let task: any TextTask
  /// What trains in it.
  public let adapted: AdaptedModel
  /// A small classifier beside it, if the method has one.
  public let companion: Companion?
  /// Where it computes.
  public let device: Device

  /// Collects a worker's model.
  public init(
    task: any TextTask, adapted: AdaptedModel, companion: Companion? = nil, device: Device
  ) {
    self.task = task
    self.adapted = adapted
    self.companion = companion
    self.device = device
  }

  /// Every tensor that trains: its name and the leaf, in the order of the names' bytes.
  var trainables: [(name: String, leaf: Tensor)] {
    let all = adapted.trainables + (companion?.trainables ?? [])
    return NamedTensors(Dictionary(all.map { ($0.name, $0.leaf) }) { first, _ in first })
      .map { ($0.name, $0.tensor) }
  }

  /// Copies of the trainable tensors as they are now.
  public var values: NamedTensors {
    NamedTensors(Dictionary(trainables.map { ($0.name, $0.leaf) }) { first, _ in first }).copied()
  }

  /// Overwrites trainable tensors by name; those not named keep their values.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for an unknown name or another shape.
  public func load(_ values: NamedTensors) throws(ApusError) {
    let own = companion?.trainables ?? []
    let beside = values.filtered { name in own.contains { $0.name == name } }
    try beside.requireShapes(
      of: NamedTensors(Dictionary(own.map { ($0.name, $0.leaf) }) { first, _ in first })
        .filtered { beside[$0] != nil }, at: "companion")
    try adapted.load(values.filtered { beside[$0] == nil })
    for (name, leaf) in own { if let value = beside[name] { leaf.assignInPlace(value.detached()) } }
  }

  /// Sets how adapters and companion act together.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for parts that the model does not have.
  public func load(_ mixture: AdapterMixture) throws(ApusError) {
    guard mixture.companion == nil || companion != nil else {
      throw ApusError(
        .unsupported, at: "model", "there is no companion",
        remedy: "Use a method whose model has one")
    }
    try adapted.load(mixture)
    companion?.weight = mixture.companion
  }
}

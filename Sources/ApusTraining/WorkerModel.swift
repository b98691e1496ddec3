public import ApusAdapters
import ApusCore
public import ApusModels
public import ApusTorch

/// One worker's model: a thin tree over the shared backbone, with adapters and head of its own.
public struct WorkerModel {
  /// The model that gives scores.
  public let classifier: TextClassifier
  /// What trains in it.
  public let adapted: AdaptedModel
  /// Where it computes.
  public let device: Device

  /// Collects a worker's model.
  public init(classifier: TextClassifier, adapted: AdaptedModel, device: Device) {
    self.classifier = classifier
    self.adapted = adapted
    self.device = device
  }
}

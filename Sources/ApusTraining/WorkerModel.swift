public import ApusAdapters
import ApusCore
public import ApusTorch

/// One worker's model: a thin tree over the shared backbone, with adapters and head of its own.
public struct WorkerModel {
  /// The model and what it is trained to do.
  public let task: any TextTask
  /// What trains in it.
  public let adapted: AdaptedModel
  /// Where it computes.
  public let device: Device

  /// Collects a worker's model.
  public init(task: any TextTask, adapted: AdaptedModel, device: Device) {
    self.task = task
    self.adapted = adapted
    self.device = device
  }
}

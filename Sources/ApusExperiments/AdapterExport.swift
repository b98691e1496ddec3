import ApusAdapters
public import ApusBase
public import ApusCore
import ApusDatasets
import ApusModels
import ApusSimulation
import ApusTraining
public import Foundation

extension Assembly {
  /// Writes trained tensors as a Hugging Face PEFT folder.
  ///
  /// - Parameters:
  ///   - values: The trainable tensors, such as the global model of a run.
  ///   - folder: Made, or replaced if it holds an adapter.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be written, `.shapeMismatch` if the
  ///   values are not this experiment's.
  public func writeAdapter(_ values: NamedTensors, to folder: URL) throws(ApusError) {
    let model = try makeModel()
    try model.adapted.load(values)
    let base = try CheckpointLocator.publicName(
      of: experiment.model.checkpoint, from: experiment.folder)
    try model.adapted.folder(baseModel: base, notes: notes).write(to: folder)
  }

  /// Writes the backbone with the trained tensors merged into it, as a checkpoint folder.
  ///
  /// - Parameters:
  ///   - values: The trainable tensors.
  ///   - folder: Made, or replaced if it holds a checkpoint.
  /// - Throws: ``ApusError`` as ``writeAdapter(_:to:)``.
  public func writeMerged(_ values: NamedTensors, to folder: URL) throws(ApusError) {
    let model = try makeModel()
    try model.adapted.load(values)
    model.adapted.merge()
    try model.classifier.write(
      to: folder, like: backbone.checkpoint, labels: data.federated.dataset.labelNames)
  }

  /// The global model that a run had committed.
  ///
  /// - Parameters:
  ///   - run: Folder of a run of this experiment.
  ///   - round: One of the run's checkpoints; nil for the last.
  /// - Returns: The trainable tensors, by their Hugging Face names.
  /// - Throws: ``ApusError`` `.runState` if there is no such checkpoint.
  public func global(of run: URL, after round: Int? = nil) throws -> NamedTensors {
    let archive = try RunArchive(run)
    guard let round = try round ?? archive.checkpoints().last else {
      throw ApusError(
        .runState, at: run.path, "the run has committed no round",
        remedy: "Resume it with \"apus run --resume\"")
    }
    var server = try makeServer()
    try server.restore(archive.snapshot(after: round))
    return server.global
  }

  private var notes: AdapterNotes {
    let pooling = experiment.model.pooling ?? backbone.checkpoint.pooling
    return AdapterNotes(
      pooling: pooling.rawValue, labels: data.federated.dataset.labelNames,
      maxLength: experiment.model.maxLength)
  }
}

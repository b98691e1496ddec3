import ApusAdapters
public import ApusBase
public import ApusCore
import ApusDatasets
import ApusMethods
import ApusModels
import ApusSimulation
import ApusTraining
public import Foundation

extension Assembly {
  /// Writes trained tensors as a Hugging Face PEFT folder.
  ///
  /// A base delta goes into the adapter's own factors, whose ranks grow by it.
  ///
  /// - Parameters:
  ///   - values: The global model of a run: trainable tensors, and a base delta if there is one.
  ///   - folder: Made, or replaced if it holds an adapter.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be written, `.shapeMismatch` if the
  ///   values are not this experiment's.
  public func writeAdapter(_ values: NamedTensors, to folder: URL) throws(ApusError) {
    let model = try makeModel(of: values)
    let base = try CheckpointLocator.publicName(
      of: experiment.model.checkpoint, from: experiment.folder)
    try model.adapted.folder(baseModel: base, notes: notes, task: model.task.kind.adapterTask)
      .write(to: folder)
  }

  /// Writes the backbone with the trained tensors merged into it, as a checkpoint folder.
  ///
  /// - Parameters:
  ///   - values: As for an adapter; a base delta is added to the weights.
  ///   - folder: Made, or replaced if it holds a checkpoint.
  /// - Throws: ``ApusError`` as ``writeAdapter(_:to:)``.
  public func writeMerged(_ values: NamedTensors, to folder: URL) throws(ApusError) {
    let model = try makeModel(of: values)
    model.adapted.merge()
    try model.task.write(
      to: folder, like: backbone.checkpoint, labels: outputNames)
  }

  /// The global model that a run had committed.
  ///
  /// - Parameters:
  ///   - run: Folder of a run of this experiment.
  ///   - round: One of the run's checkpoints; nil for the last.
  /// - Returns: The trainable tensors, by their Hugging Face names, and the base delta.
  /// - Throws: ``ApusError`` `.runState` if there is no such checkpoint.
  public func global(of run: URL, after round: Int? = nil) throws -> NamedTensors {
    guard experiment.method.hasGlobalModel else {
      throw ApusError(
        .unsupported, at: run.path,
        "\(experiment.method.card.name) leaves each client a model of its own, and no global one",
        remedy: "Export the run of a method with a global model")
    }
    let archive = try RunArchive(run)
    guard let round = try round ?? archive.checkpoints().last else { throw Self.noRound(run) }
    var server = try makeServer()
    try server.restore(archive.snapshot(after: round))
    return server.global
  }

  /// The adapter that one client of a run would use after the last committed round.
  ///
  /// - Parameters:
  ///   - client: The client's name.
  ///   - run: Folder of a run of this experiment.
  /// - Returns: The trainable tensors, by their Hugging Face names.
  /// - Throws: ``ApusError`` `.invalidConfig` if there is no such client, `.unsupported` if the client
  ///   uses no adapter of its own, `.runState` if the run has committed no round.
  public func adapter(ofClient client: String, in run: URL) async throws -> NamedTensors {
    guard let id = clients.map(\.id).first(where: { $0.name == client }) else {
      throw ApusError(
        .invalidConfig, at: "client", "there is no client \"\(client)\"",
        remedy: Spelling.remedy(for: client, allowed: clients.map(\.id.name)))
    }
    return try await onWorkerThread(
      threadsPerOperation: experiment.engine.threadsPerOperation, "adapter of \(client)"
    ) { try await ownAdapter(of: id, in: run) }
  }

  private func ownAdapter(of id: ClientID, in run: URL) async throws -> NamedTensors {
    let archive = try RunArchive(run)
    guard let last = try archive.checkpoints().last else { throw Self.noRound(run) }
    var server = try makeServer()
    try server.restore(archive.snapshot(after: last))
    let root = RandomStream(seed: experiment.seed)
    let round = Round(index: last, total: experiment.federation.rounds, root: root)
    let brief = try server.brief(for: id, round: round)
    var half = try method.client(
      ClientSetting(
        id: id, trainer: makeTrainer(of: id), training: experiment.training,
        factorPairs: factorPairs))
    if let state = try archive.clientState(of: id.index) {
      try half.restore(Snapshot(encoded: state, at: "\(id.name), state"))
    }
    guard let adapter = try await half.ownAdapter(beside: brief, round: round) else {
      throw ApusError(
        .unsupported, at: "client \(id.name)",
        "clients of \(experiment.method.card.name) use no single adapter of their own",
        remedy: "Export the global model, or the run of another method")
    }
    return adapter
  }

  private static func noRound(_ run: URL) -> ApusError {
    ApusError(
      .runState, at: run.path, "the run has committed no round",
      remedy: "Resume it with \"apus run --resume\"")
  }

  private func makeModel(of global: NamedTensors) throws(ApusError) -> WorkerModel {
    let model = try makeModel()
    try model.adapted.load(BaseDelta(in: global))
    try model.load(global.withoutBaseDelta)
    return model
  }

  private var notes: AdapterNotes {
    let pooling = experiment.model.pooling ?? backbone.checkpoint.pooling
    return AdapterNotes(
      pooling: pooling.rawValue,
      labels: outputNames,
      maxLength: experiment.model.maxLength)
  }
}

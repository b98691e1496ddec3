import ApusAdapters
import ApusBase
import ApusCore
import ApusSimulation
import ApusTraining

/// Clients of an experiment on one worker: one model, used by one client after another.
final class TrainingHost: ClientHost {
  private let assembly: Assembly
  private let model: WorkerModel

  init(_ assembly: Assembly, model: WorkerModel) {
    self.assembly = assembly
    self.model = model
  }

  func half(of client: ClientID) throws -> any ClientHalf {
    try assembly.method.client(
      ClientSetting(
        id: client, trainer: assembly.learner(of: client, model: model),
        training: assembly.experiment.training, factorPairs: assembly.factorPairs,
        device: try assembly.device(of: client)))
  }

  func evaluate(
    _ global: NamedTensors, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums {
    let all = split == .test ? Array(0..<assembly.testRows.count) : pooled(split)
    // Every shard gets rows of all lengths, so that shards take the same time.
    let own = all.indices.filter { $0 % shards == shard }.map { all[$0] }
    let rows = split == .test ? assembly.testRows : assembly.rows
    let learner = Learner(
      model: model, rows: rows, positions: [:], commonTest: assembly.testRows,
      initial: assembly.initial)
    try learner.rescale([:])
    try learner.load(assembly.method.modelExtension.resting)
    try learner.load(BaseDelta(in: global))
    // The next client may belong to a method that brings the same change in another form, as SLoRA.
    defer { try? learner.load(BaseDelta()) }
    try learner.load(global.withoutBaseDelta)
    return try learner.sums(own, of: rows)
  }

  private func pooled(_ split: DataSplit) -> [Int] {
    assembly.clients.flatMap { assembly.positions(of: $0.id)[split] ?? [] }
  }
}

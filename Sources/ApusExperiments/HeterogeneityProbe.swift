import ApusBase
public import ApusCore
import ApusDatasets
public import ApusSimulation
import ApusTorch
public import ApusTraining

/// How unlike the clients of an experiment are to its model and on its devices, before any training.
public struct HeterogeneityProbe: Sendable {
  /// Distances between the clients' rows as the frozen model sees them; nil for tasks that show no
  /// features, and for rows without classes.
  public let features: FeatureHeterogeneity?
  /// How much the clients' gradients disagree at the start values.
  public let gradients: GradientHeterogeneity
  /// How long a round would take each client.
  public let system: SystemHeterogeneity
  /// Clients with the two rows that a measure needs.
  public let clients: [ClientID]

  /// Measures an experiment.
  ///
  /// - Parameters:
  ///   - assembly: The experiment.
  ///   - limit: Rows of each client that are measured, at most, evenly spread over its training
  ///     rows; ≥ 2.
  /// - Throws: ``ApusError`` `.invalidData` for fewer than two clients with two rows,
  ///   `.tensorOperation` if the model fails.
  public init(_ assembly: Assembly, rowsPerClient limit: Int) async throws {
    let model = try assembly.makeModel()
    let dataset = assembly.data.federated.dataset
    let labels = dataset.labelNames.isEmpty ? [] : try dataset.labels()
    let showsFeatures = model.task is any FeatureTask && !labels.isEmpty
    var (ids, sizes): ([ClientID], [Double]) = ([], [])
    var (features, classes, gradients): ([Tensor], [[Int]], [NamedTensors]) = ([], [], [])
    for client in assembly.clients {
      let all = assembly.positions(of: client.id)[.train] ?? []
      guard all.count >= 2 else { continue }
      let count = min(all.count, max(limit, 2))
      let own = (0..<count).map { all[$0 * all.count / count] }
      let learner = Learner(
        model: model, rows: assembly.rows, positions: [.train: own],
        commonTest: assembly.testRows, initial: assembly.initial)
      try learner.load(assembly.initial)
      if showsFeatures {
        features.append(try await learner.features(of: .train))
        classes.append(own.map { labels[$0] })
      }
      gradients.append(try await learner.gradient())
      ids.append(client.id)
      sizes.append(Double(client.sampleCount))
    }
    self.features =
      showsFeatures ? try FeatureHeterogeneity(features: features, labels: classes) : nil
    self.gradients = try GradientHeterogeneity(gradients, weights: sizes)
    clients = ids
    let bytes = assembly.initial.filtered { !assembly.method.isPersonal($0) }
      .reduce(0) { $0 + $1.tensor.byteCount }
    system = SystemHeterogeneity(
      try assembly.experiment.devices.makeFleet(
        root: RandomStream(seed: assembly.experiment.seed)),
      assembly.clients, assembly.experiment.federation.workload, bytes: bytes)
  }
}

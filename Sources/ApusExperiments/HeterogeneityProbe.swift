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

  /// Measures an experiment, whatever its method does with the clients' rows.
  ///
  /// - Parameters:
  ///   - assembly: The experiment.
  ///   - limit: Rows of each client that are measured, at most, evenly spread over its training
  ///     rows; ≥ 2.
  /// - Throws: ``ApusError`` `.invalidData` for fewer than two clients with two rows,
  ///   `.tensorOperation` if the model fails.
  public init(_ assembly: Assembly, rowsPerClient limit: Int) async throws {
    let experiment = assembly.experiment
    let all = assembly.data.clients.map { id in
      FederationClient(
        id: id, sampleCount: assembly.data.positions(of: id.index)[.train]?.count ?? 0,
        training: experiment.training)
    }
    let measured = all.filter { $0.sampleCount >= 2 }
    guard measured.count >= 2 else {
      throw ApusError(
        .invalidData, at: assembly.data.federated.dataset.name,
        "\(measured.count) of \(all.count) clients have the two training rows that a measure needs",
        remedy: "Divide the rows among two clients at least, or give them more rows")
    }
    (features, gradients) = try await onWorkerThread(
      threadsPerOperation: experiment.engine.threadsPerOperation, "heterogeneity"
    ) { try await Self.measure(measured, of: assembly, rowsPerClient: limit) }
    clients = measured.map(\.id)
    let bytes = assembly.initial.filtered { !assembly.method.isPersonal($0) }
      .reduce(0) { $0 + $1.tensor.byteCount }
    system = SystemHeterogeneity(
      try experiment.devices.makeFleet(root: RandomStream(seed: experiment.seed)), all,
      experiment.federation.workload, bytes: bytes)
  }

  /// What the model shows of the clients' rows.
  private static func measure(
    _ clients: [FederationClient], of assembly: Assembly, rowsPerClient limit: Int
  ) async throws -> (features: FeatureHeterogeneity?, gradients: GradientHeterogeneity) {
    let model = try assembly.makeModel()
    let dataset = assembly.data.federated.dataset
    let labels = dataset.labelNames.isEmpty ? [] : try dataset.labels()
    let showsFeatures = model.task is any FeatureTask && !labels.isEmpty
    var (features, classes, gradients): ([Tensor], [[Int]], [NamedTensors]) = ([], [], [])
    for client in clients {
      let all = assembly.data.positions(of: client.id.index)[.train] ?? []
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
    }
    return (
      showsFeatures ? try FeatureHeterogeneity(features: features, labels: classes) : nil,
      try GradientHeterogeneity(gradients, weights: clients.map { Double($0.sampleCount) })
    )
  }
}

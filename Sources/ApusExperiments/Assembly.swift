import ApusAdapters
public import ApusBase
public import ApusCore
import ApusDatasets
import ApusMethods
public import ApusModels
public import ApusSimulation
public import ApusTokenizers
import ApusTorch
public import ApusTraining
import Foundation

/// An experiment with everything loaded that a process needs once: rows, tokens, backbone.
///
/// Workers make their own hosts of it; all of them read the same frozen weights.
public struct Assembly: Sendable {
  /// The experiment.
  public let experiment: Experiment
  /// Rows and partition.
  public let data: ExperimentData
  /// The checkpoint's tokenizer.
  public let tokenizer: Tokenizer
  /// Frozen weights.
  public let backbone: Backbone
  /// Clients as the engine sees them; a single one if the method pools the data.
  public private(set) var clients: [FederationClient]
  /// The trainable tensors as every client starts with them.
  public let initial: NamedTensors
  /// The LoRA pairs among them.
  public let factorPairs: [FactorPair]
  /// The frozen weights of the adapted projections.
  private let weights: NamedTensors
  let method: any FederatedMethod
  let rows: TokenizedRows
  let testRows: TokenizedRows
  private let positions: [Int: [DataSplit: [Int]]]

  /// Loads an experiment.
  ///
  /// - Parameters:
  ///   - experiment: The experiment.
  ///   - owner: The client that all rows of this machine belong to; by default the experiment
  ///     divides them among its clients.
  /// - Throws: ``ApusError`` for what is wrong with the data, the checkpoint, its tokenizer or
  ///   the adapter's targets.
  public init(_ experiment: Experiment, owner: ClientID? = nil) throws(ApusError) {
    let data = try ExperimentData(experiment)
    let folder = try CheckpointLocator.folder(
      of: experiment.model.checkpoint, from: experiment.folder)
    let checkpoint = try Checkpoint(folder: folder)
    let tokenizer = try Tokenizer(contentsOf: folder)
    self.experiment = experiment
    self.data = data
    self.tokenizer = tokenizer
    let read = try Self.reader(experiment, data, checkpoint, tokenizer)
    rows = try read(data.federated.dataset)
    testRows = try read(data.federated.test)
    backbone = try Backbone(
      checkpoint, precision: experiment.model.precision,
      device: try experiment.model.resolvedDevice(), quantization: experiment.model.quantization)
    method = try experiment.method.make(experiment.methodOptions)
    try Self.requirePurpose(ofPublicRows: experiment, method.modelExtension)
    let pool = experiment.method.poolsData ? ClientID(index: 0, name: "everyone") : owner
    let ids = pool.map { [$0] } ?? data.clients
    let divided = ids.map { pool == nil ? data.positions(of: $0.index) : data.pooledPositions }
    positions = Dictionary(zip(ids.map(\.index), divided)) { first, _ in first }
    clients = zip(ids, divided).map { id, positions in
      FederationClient(
        id: id, sampleCount: positions[.train]?.count ?? 0, training: experiment.training)
    }
    let model = try Self.makeModel(
      experiment, data, backbone, tokenizer, extended: method.modelExtension)
    initial = model.values
    factorPairs = model.adapted.adapters[0].factorPairs
    weights = model.adapted.frozenWeights
    LibTorch.releaseUnusedMemory()  // what parsing and tokenizing needed
  }

  /// How the run goes on, as this method needs it.
  ///
  /// Relative paths start from the experiment's folder. With data in one place there is one client
  /// to draw. A method with personal models has the clients' own measured, and one without a global
  /// model nothing else.
  public var simulationOptions: SimulationOptions {
    var options = experiment.federation
    if !options.sampling.cohortFile.isEmpty {
      let file = URL(fileURLWithPath: options.sampling.cohortFile, relativeTo: experiment.folder)
      options.sampling.cohortFile = file.path
    }
    if experiment.method.poolsData {
      options.sampling = CohortSampling()
    } else if experiment.method.hasPersonalModels {
      if options.evaluation.clientSplits.isEmpty {
        options.evaluation.clientSplits = options.evaluation.splits
      }
      if !experiment.method.hasGlobalModel { options.evaluation.splits = [] }
    }
    return options
  }

  /// Numbers of parameters: of what crosses, and of what each client keeps to itself.
  public var parameterCounts: (shared: Int, personal: Int) {
    let personal = initial.filtered(method.isPersonal).elementCount
    return (initial.elementCount - personal, personal)
  }

  /// Makes the server's half, as it is before the first round.
  public func makeServer() throws -> any ServerHalf {
    let (traits, assembly) = (try traits(), self)
    var aligner: (@Sendable () throws -> any EmulatorAligner)?
    if experiment.data.publicRows.file != nil { aligner = { try assembly.makeAligner() } }
    return try method.server(
      ServerSetting(
        initial: initial, factorPairs: factorPairs, aggregation: experiment.aggregation,
        random: RandomStream(seed: experiment.seed).substream("server"), weights: weights,
        device: traits, aligner: aligner))
  }

  /// What a client's device can do.
  func device(of client: ClientID) throws(ApusError) -> DeviceTraits { try traits()(client) }

  private func traits() throws(ApusError) -> @Sendable (ClientID) -> DeviceTraits {
    let fleet = try experiment.devices.makeFleet(root: RandomStream(seed: experiment.seed))
    let workload = experiment.federation.workload
    return { fleet.device(of: $0.index).traits(for: workload) }
  }

  /// Makes the host of one worker: a module tree of its own over the shared weights.
  public func makeHost() throws(ApusError) -> any ClientHost {
    TrainingHost(
      self,
      model: try Self.makeModel(
        experiment, data, backbone, tokenizer, extended: method.modelExtension))
  }

  /// Makes the runner of clients on threads of this process, as the section `engine` says.
  public func makeRunner() throws(ApusError) -> InProcessRunner {
    let (engine, assembly) = (experiment.engine, self)
    return try InProcessRunner(
      workers: engine.resolvedWorkers, threadsPerOperation: engine.threadsPerOperation,
      host: { _ in try assembly.makeHost() })
  }

  /// Makes a trainer of one client's rows, with a model of its own.
  public func makeTrainer(of client: ClientID) throws(ApusError) -> any LocalTrainer {
    learner(of: client, model: try makeModel())
  }

  func learner(of client: ClientID, model: WorkerModel) -> Learner {
    Learner(
      model: model, rows: rows, positions: positions(of: client), commonTest: testRows,
      initial: initial)
  }

  /// Makes the model with its adapters at their start values.
  public func makeModel() throws(ApusError) -> WorkerModel {
    try Self.makeModel(experiment, data, backbone, tokenizer, extended: method.modelExtension)
  }

  /// Rows of one client by split.
  func positions(of client: ClientID) -> [DataSplit: [Int]] {
    positions[client.index] ?? [:]
  }

  /// The same experiment as a server sees it whose clients hold rows that it has never seen.
  ///
  /// - Parameter introduced: Place, name and number of training rows of every client.
  /// - Returns: The experiment with these clients.
  public func serving(_ introduced: [(id: ClientID, sampleCount: Int)]) -> Assembly {
    var assembly = self
    assembly.clients = introduced.map { id, count in
      FederationClient(id: id, sampleCount: count, training: experiment.training)
    }
    return assembly
  }
}

extension FederationClient {
  /// A client whose whole local phase takes as many steps as its rows fill batches, in every epoch.
  init(id: ClientID, sampleCount: Int, training: LocalTraining) {
    let batches = (sampleCount + training.batchSize - 1) / training.batchSize
    self.init(id: id, sampleCount: sampleCount, localSteps: batches * training.localEpochs)
  }
}

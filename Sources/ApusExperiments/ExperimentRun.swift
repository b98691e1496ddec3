import ApusAdapters
public import ApusBase
import ApusCore
import ApusMethods
public import ApusSimulation
import ApusTorch
import ApusTraining
public import Foundation

/// One run of an experiment in its folder, from the first round or from where it was left.
public struct ExperimentRun: Sendable {
  /// The experiment with its data and backbone.
  public let assembly: Assembly
  /// The run's folder.
  public let folder: URL
  /// What was found odd about the clients' rows and the server's own, one line each.
  public let findings: [String]
  /// The apus command, for worker processes; by default this program.
  public var workerProgram: URL? = Bundle.main.executableURL
  private let store: RunStore

  /// Opens the run's folder.
  ///
  /// - Parameters:
  ///   - assembly: The experiment, loaded.
  ///   - folder: Made if missing.
  ///   - resuming: Whether to go on with a run that is there, or to begin one.
  /// - Throws: ``ApusError`` `.runState` if the folder does not fit, `.fileAccess` if it cannot be
  ///   written, and what is wrong with rows of the server's own, before any client has trained.
  public init(_ assembly: Assembly, folder: URL, resuming: Bool) throws(ApusError) {
    let publicRows = try assembly.publicRows()
    findings = assembly.data.findings + (publicRows.map(ExperimentData.skipped) ?? [])
    self.assembly = assembly
    self.folder = folder
    let description = Self.description(of: assembly.experiment)
    var retention = RunStore.Retention()
    retention.bestBy = "global/test \(assembly.experiment.task.kind.headline)"
    if resuming {
      store = try RunStore.resume(at: folder, description, retention: retention)
    } else {
      store = try RunStore.create(at: folder, description, retention: retention)
      try Self.write(Data(assembly.experiment.source.utf8), to: folder, "experiment.yaml")
    }
  }

  /// Trains to the last round and writes the adapter, if the method makes one for all.
  ///
  /// Cancelling the task stops at the last committed round.
  ///
  /// - Parameter observer: Hears what happens.
  /// - Returns: The global model at the end.
  /// - Throws: ``ApusError`` as ``Simulation/run(server:runner:store:observer:)``.
  @discardableResult
  public func run(
    observer: @escaping SimulationObserver = { _ in }
  ) async throws -> SimulationOutcome {
    switch assembly.experiment.engine.kind {
    case .inProcess: try await run(on: assembly.makeRunner(), observer: observer)
    case .processes: try await run(on: processes(), observer: observer)
    }
  }

  /// Trains as ``run(observer:)`` does, with clients that are somewhere else.
  ///
  /// - Parameters:
  ///   - runner: Where the clients are, instead of what the section `engine` says.
  ///   - observer: Hears what happens.
  /// - Returns: The global model at the end.
  /// - Throws: ``ApusError`` as ``Simulation/run(server:runner:store:observer:)``.
  @discardableResult
  public func run(
    on runner: some ClientRunner, observer: @escaping SimulationObserver = { _ in }
  ) async throws -> SimulationOutcome {
    let experiment = assembly.experiment
    let assembly = assembly
    let root = RandomStream(seed: experiment.seed)
    let simulation = try Simulation(
      clients: assembly.clients, options: assembly.simulationOptions,
      aggregation: experiment.aggregation,
      fleet: try experiment.devices.makeFleet(root: root),
      summarize: { experiment.task.kind.metrics(of: $0) },
      facts: [
        "shared_parameters": Double(assembly.parameterCounts.shared),
        "personal_parameters": Double(assembly.parameterCounts.personal),
      ])
    let outcome = try await simulation.run(
      server: { try assembly.makeServer() }, runner: runner, store: store, observer: observer)
    if experiment.method.hasGlobalModel {
      try assembly.writeAdapter(outcome.global, to: folder.appending(path: "adapter"))
    }
    try Self.write(Data(MetricExport.csv(try archive().metrics()).utf8), to: folder, "metrics.csv")
    return outcome
  }

  /// Worker processes read the run's own copy of the experiment.
  private func processes() throws(ApusError) -> ProcessRunner {
    let engine = assembly.experiment.engine
    guard let program = workerProgram else {
      throw ApusError(
        .invalidConfig, at: "engine.kind", "there is no program for worker processes",
        remedy: "Give the path of the apus command, or use in-process")
    }
    let file = folder.appending(path: "experiment.yaml")
    return try ProcessRunner(
      workers: engine.resolvedWorkers, seed: assembly.experiment.seed,
      threadsPerOperation: engine.threadsPerOperation,
      command: .init(executable: program, arguments: ["client-worker", file.path]))
  }

  /// What the run has committed so far.
  public func archive() throws(ApusError) -> RunArchive { try RunArchive(folder) }

  /// Everything that decides the bits of a run, by dotted key.
  public static func description(of experiment: Experiment) -> RunDescription {
    let sections: [(String, any OptionGroup)] = [
      ("model", experiment.model), ("task", experiment.task), ("data", experiment.data),
      ("adapter", experiment.adapter),
      ("method", experiment.methodOptions), ("training", experiment.training),
      ("aggregation", experiment.aggregation), ("federation", experiment.federation),
      ("devices", experiment.devices),
    ]
    var settings = ["method.name": experiment.method.card.id]
    for (section, group) in sections {
      for (name, value) in SettingList.settings(of: group, under: section) {
        settings[name] = value
      }
    }
    settings["engine.threads-per-operation"] = "\(experiment.engine.threadsPerOperation)"
    return RunDescription(
      configuration: settings, seed: experiment.seed, versions: ["libtorch": LibTorch.version])
  }

  static func write(_ data: Data, to folder: URL, _ name: String) throws(ApusError) {
    let file = folder.appending(path: name)
    do { try data.write(to: file, options: .atomic) } catch {
      throw ApusError(
        .fileAccess, at: file.path, "the file cannot be written",
        remedy: "Check that the folder exists, that you may write there and that space is left",
        cause: error)
    }
  }
}

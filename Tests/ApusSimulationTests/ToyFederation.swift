import ApusBase
import ApusCore
import ApusSimulation
import ApusTorch
import Foundation

/// A federation of toy clients, and runs of it.
struct ToyFederation: Sendable {
  var clientCount = 9
  var seed: UInt64 = 5
  var options: SimulationOptions = {
    var options = SimulationOptions()
    options.rounds = 4
    options.sampling.cohortSize = 5
    options.evaluation.shards = 3
    return options
  }()
  var aggregation = Aggregation()
  var fleet = Fleet()
  var server = ServerOptimizerConfiguration.Kind.fedadam
  var serverChanges = true
  var retention = RunStore.Retention()
  var hosts = ToyHosts()
  /// Clients without rows.
  var empty: Set<Int> = []

  var clients: [FederationClient] {
    (0..<clientCount).map { index in
      FederationClient(
        id: ClientID(index: index, name: "client \(index)"),
        sampleCount: empty.contains(index) ? 0 : ToyHosts.sampleCount(index),
        localSteps: hosts.localSteps)
    }
  }

  func simulation() throws -> Simulation {
    try Simulation(clients: clients, options: options, aggregation: aggregation, fleet: fleet)
  }

  var description: RunDescription {
    RunDescription(
      configuration: ["rounds": "\(options.rounds)", "method": "toy"], seed: seed,
      versions: ["apus": "test"])
  }

  /// Begins a run in the folder, or goes on with it.
  @discardableResult
  func run(
    in folder: URL, workers: Int = 2, runner: (any ClientRunner)? = nil,
    observer: @escaping SimulationObserver = { _ in }
  ) async throws -> SimulationOutcome {
    let store =
      try RunStore.exists(at: folder)
      ? RunStore.resume(at: folder, description, retention: retention)
      : RunStore.create(at: folder, description, retention: retention)
    let runner = try runner ?? InProcessRunner(workers: workers, host: hosts.factory)
    return try await run(simulation(), runner, store, observer)
  }

  private func run(
    _ simulation: Simulation, _ runner: some ClientRunner, _ store: RunStore,
    _ observer: @escaping SimulationObserver
  ) async throws -> SimulationOutcome {
    let (kind, changes) = (server, serverChanges)
    return try await simulation.run(
      server: { ToyMethod.Server(kind, changes: changes) }, runner: runner, store: store,
      observer: observer)
  }
}

/// Makes the hosts of toy clients; travels to worker processes as JSON.
struct ToyHosts: Codable, Sendable {
  var localSteps = 6
  var keepsState = true
  var faults: [Int: ToyMethod.Fault] = [:]

  static func sampleCount(_ client: Int) -> Int { 4 + client % 5 }

  var factory: ClientHostFactory { { _ in Host(hosts: self) } }

  final class Host: ClientHost {
    let hosts: ToyHosts

    init(hosts: ToyHosts) { self.hosts = hosts }

    func half(of client: ClientID) -> any ClientHalf {
      ToyMethod.Client(
        id: client, sampleCount: ToyHosts.sampleCount(client.index), localSteps: hosts.localSteps,
        keepsState: hosts.keepsState, fault: hosts.faults[client.index])
    }

    func evaluate(
      _ global: NamedTensors, split: DataSplit, shard: Int, of shards: Int
    ) async throws -> MetricSums {
      let (x, y) = ToyMethod.rows(split.rawValue, shard, count: 5)
      guard let weight = global["head.weight"], let bias = global["head.bias"] else { return [:] }
      return ["loss": (matmul(x, weight) + bias - y).squared.sum().item, "count": 5]
    }
  }
}

/// Everything about a run that has to be the same whenever the run is the same.
struct Fingerprint: Equatable {
  let snapshot: Data
  let rounds: [RoundRecord]
  let metrics: [MetricRow]
  let states: [Data?]

  init(_ folder: URL, clients: Int) throws {
    let archive = try RunArchive(folder)
    let last = try archive.checkpoints().last ?? -1
    snapshot = try Data(
      contentsOf: folder.appendingPathComponent("checkpoints/round-\(last).safetensors"))
    rounds = try archive.rounds().map {
      var record = $0
      record.wallSeconds = 0
      return record
    }
    metrics = try archive.metrics()
    states = try (0..<clients).map { try archive.clientState(of: $0) }
  }
}

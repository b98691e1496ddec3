public import ApusBase
public import ApusCore
import ApusTorch

/// A whole federation in one process: draws cohorts, runs clients, keeps the run.
///
/// The result depends on clients, options, seed and methods only: not on the number of workers,
/// on who is fast, on whether clients are threads or processes, or on interruptions.
public struct Simulation: Sendable {
  /// All clients, in order of their index.
  public let clients: [FederationClient]
  /// How the run goes on.
  public let options: SimulationOptions
  /// How updates are weighted, where the way of sampling does not say.
  public let aggregation: Aggregation
  /// The clients' devices.
  public let fleet: Fleet
  /// Makes metrics of a split's sums; by default everything is divided by `count`.
  public let summarize: @Sendable (MetricSums) -> Metrics
  /// Numbers that hold for the whole run; they are kept with its first round, in the scope `run`.
  public let facts: Metrics

  let sampler: CohortSampler

  /// Describes a federation and a run of it.
  ///
  /// - Parameters:
  ///   - clients: All clients, in order of their index.
  ///   - options: How the run goes on.
  ///   - aggregation: How updates are weighted.
  ///   - fleet: The clients' devices.
  ///   - summarize: Makes metrics of a split's sums.
  ///   - facts: Numbers that hold for the whole run, to be kept with it.
  /// - Throws: ``ApusError`` `.invalidConfig` for options or devices that make no
  ///   sense, and what ``CohortSampler`` throws.
  public init(
    clients: [FederationClient], options: SimulationOptions, aggregation: Aggregation,
    fleet: Fleet = Fleet(), summarize: @escaping @Sendable (MetricSums) -> Metrics = Self.means,
    facts: Metrics = [:]
  ) throws(ApusError) {
    try options.validate()
    try fleet.validate()
    self.clients = clients
    self.options = options
    self.aggregation = aggregation
    self.fleet = fleet
    self.summarize = summarize
    self.facts = facts
    sampler = try CohortSampler(options.sampling, clients: clients, rounds: options.rounds)
  }

  /// Each sum divided by the sum called `count`; nothing if that is zero.
  public static let means: @Sendable (MetricSums) -> Metrics = { sums in
    guard let count = sums["count"], count > 0 else { return [:] }
    return sums.filter { $0.key != "count" }.mapValues { $0 / count }
  }

  /// Runs from the last committed round to the end.
  ///
  /// Cancelling the task ends the run at the last committed round.
  ///
  /// - Parameters:
  ///   - server: Makes the server's half; called on the server's own thread.
  ///   - runner: Runs the clients.
  ///   - store: Keeps the run; its seed is the run's.
  ///   - observer: Hears what happens.
  /// - Returns: The server's state after the last round.
  /// - Throws: ``ApusError``: `.interrupted` if the task was cancelled, `.runState` if a round had
  ///   too few updates, `.nonFinite` if the global model broke, `.fileAccess` if the disk is full,
  ///   and what the server's half throws. Committed rounds are intact in every case.
  public func run(
    server: @escaping @Sendable () throws -> any ServerHalf, runner: some ClientRunner,
    store: RunStore, observer: @escaping SimulationObserver = { _ in }
  ) async throws -> SimulationOutcome {
    // The server's arithmetic keeps to one thread and its settings, like that of a worker.
    let thread = WorkerThread(name: "apus server", threadsPerOperation: 1)
    return try await withTaskExecutorPreference(thread) {
      let loop = try RoundLoop(
        self, server: server(), runner: runner, store: store, observer: observer)
      return try await loop.run()
    }
  }
}

/// What a run ends with.
public struct SimulationOutcome: Sendable {
  /// The global model.
  public let global: NamedTensors
  /// The server's state.
  public let snapshot: Snapshot
  /// Greatest number of finished updates that waited for their turn at one time.
  public let mostWaiting: Int
}

import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// The rounds of one run, one after another, on the server's thread.
final class RoundLoop<Runner: ClientRunner> {
  let simulation: Simulation
  let runner: Runner
  let states: ClientStateStore
  var server: any ServerHalf
  private let store: RunStore
  private let observer: SimulationObserver
  private let start: Int
  private var expectedUplink: Int?
  private var encodedServer: Data
  private var mostWaiting = 0

  /// Stands at the last committed round.
  init(
    _ simulation: Simulation, server: any ServerHalf, runner: Runner, store: RunStore,
    observer: @escaping SimulationObserver
  ) throws {
    self.simulation = simulation
    self.runner = runner
    self.store = store
    self.observer = observer
    self.server = server
    start = try store.nextRound()
    states = try store.openStates(memoryBudget: simulation.options.stateMemoryBytes)
    expectedUplink = try store.lastUplinkBytes()
    if let bytes = try store.lastSnapshot() {
      try self.server.restore(Snapshot(encoded: bytes, at: "checkpoint"))
      try Tensor.check("checkpoint")
    }
    encodedServer = try self.server.snapshot.encoded()
  }

  /// Two pieces for each worker, and results that wait: more of them while they are small.
  ///
  /// - Parameter resultBytes: The size of a result.
  func window(resultBytes: Int = .max) -> OrderedWindow {
    let busy = 2 * runner.workers
    let held = Self.waitingBytes / max(1, resultBytes)
    return OrderedWindow(width: max(busy, min(held, 4 * busy)), running: busy)
  }

  /// Results that wait for their turn take this, unless two for each worker take more.
  private static var waitingBytes: Int { 64 << 20 }

  func run() async throws -> SimulationOutcome {
    let root = RandomStream(seed: store.description.seed)
    let total = simulation.options.rounds
    if start > 0, start < total {
      let event = RunEvent(round: start, kind: .resumed, text: "went on with round \(start)")
      observer(.noticed(event))
      try store.note(event)
    }
    for index in start..<max(start, total) {
      let round = Round(index: index, total: total, root: root)
      do { try await run(round) } catch {
        guard Task.isCancelled else { throw error }
        throw ApusError(
          .interrupted, at: "round \(index)", "the run was stopped",
          remedy: "Resume it; \(index) of \(total) rounds are committed", cause: error)
      }
    }
    return SimulationOutcome(
      global: server.global, snapshot: server.snapshot, mostWaiting: mostWaiting)
  }

  private func run(_ round: Round) async throws {
    let clock = ContinuousClock.now
    let course = try RoundCourse(
      round: round, loop: self, briefsFolder: store.folder, expectedUplink: expectedUplink)
    observer(
      .roundBegan(round: round.index, total: round.total, clients: course.running.count))
    mostWaiting = max(mostWaiting, try await course.train(report: observer))
    try course.requireEnough(simulation.options.minimumUpdates)
    var commit = RoundCommit(record: course.record, events: course.events)
    commit.metrics = facts(of: round) + (try finish(course))
    commit.snapshot = try server.snapshot.encoded()
    // A method that sends nothing keeps nothing on the server, and has nothing to change.
    let isStill = commit.snapshot == encodedServer && !server.snapshot.isEmpty
    if commit.record.updates > 0, isStill {
      let event = RunEvent(
        round: round.index, kind: .silentFailure, text: "the round changed nothing on the server")
      commit.events.append(event)
      observer(.noticed(event))
    }
    LibTorch.releaseUnusedMemory()
    let rows = try await measure(after: round)
    LibTorch.releaseUnusedMemory()
    if !rows.isEmpty { observer(.measured(rows)) }
    commit.metrics += rows
    commit.record.wallSeconds = (ContinuousClock.now - clock) / .seconds(1)
    try Task.checkCancellation()
    try store.commit(commit, states: states)
    encodedServer = commit.snapshot
    expectedUplink = commit.record.meanUplinkBytes ?? expectedUplink
    observer(.roundCommitted(commit.record))
  }

  /// What holds for the whole run, with its first round.
  private func facts(of round: Round) -> [MetricRow] {
    guard round.index == 0 else { return [] }
    return simulation.facts.sorted { $0.key < $1.key }.map {
      MetricRow(round: 0, scope: "run", metric: $0.key, value: $0.value)
    }
  }

  /// Lets the server end the round.
  private func finish(_ course: RoundCourse<Runner>) throws -> [MetricRow] {
    var round = course.round
    if simulation.sampler.scalesStep, course.record.updates > 0 {
      round.stepScale = course.record.clients.reduce(0) { $0 + $1.weight }
    }
    let place = "round \(round.index), server"
    let metrics = try server.finish(round: round)
    try Tensor.check(place)
    if let name = server.global.firstNonFinite {
      throw ApusError(
        .nonFinite, at: "\(place), \(name)", "the global model holds NaN or infinity",
        remedy: "Lower the server's learning rate, and resume from the last round")
    }
    return metrics.sorted { $0.key < $1.key }.map {
      MetricRow(round: round.index, scope: "server", metric: $0.key, value: $0.value)
    }
  }
}

extension RoundRecord {
  /// Mean length of the updates that were absorbed; nil if there were none.
  var meanUplinkBytes: Int? {
    let lengths = clients.filter { $0.status == .used || $0.status == .usedThenLost }
      .map(\.uplinkBytes)
    return lengths.isEmpty ? nil : lengths.reduce(0, +) / lengths.count
  }
}

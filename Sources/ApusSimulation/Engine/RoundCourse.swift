import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// One round from its cohort to the last absorbed update.
final class RoundCourse<Runner: ClientRunner> {
  let round: Round
  /// Places in the cohort whose clients train.
  let running: [Int]
  private(set) var record: RoundRecord
  private(set) var events: [RunEvent] = []
  private let loop: RoundLoop<Runner>
  private let plan: RoundPlan
  private let briefs: BriefSpool
  private let expectedUplink: Int?
  private var latestSent: (bytes: Data, tensors: NamedTensors)?

  /// Draws the cohort, makes all briefs and plans the round.
  init(
    round: Round, loop: RoundLoop<Runner>, briefsFolder: URL, expectedUplink: Int?
  ) throws {
    self.round = round
    self.loop = loop
    let simulation = loop.simulation
    let cohort = simulation.sampler.cohort(of: round)
    try Self.requireDistinct(cohort, round)
    briefs = BriefSpool(budget: 64 << 20, folder: briefsFolder)
    let sizes = try Self.makeBriefs(for: cohort, of: loop, round, into: briefs)
    let plan = RoundPlan(
      cohort: cohort, briefs: sizes, round: round,
      terms: RoundPlan.Terms(
        fleet: simulation.fleet, workload: simulation.options.workload,
        policy: simulation.options.stragglers, uplinkBytes: expectedUplink,
        wanted: simulation.sampler.wanted(of: cohort.count)))
    self.plan = plan
    self.expectedUplink = expectedUplink
    running = plan.entries.indices.filter {
      plan.entries[$0].fate.isUsed && plan.entries[$0].member.client.sampleCount > 0
    }
    record = RoundRecord(index: round.index)
    record.virtualSeconds = plan.seconds
    for (place, entry) in plan.entries.enumerated() {
      let isBounded = (entry.stepLimit ?? 0) > 0
      let bytes = isBounded ? try brief(place).count : sizes[place].plain
      record.clients.append(planned(entry, briefBytes: bytes, expectedUplink: expectedUplink))
    }
    for (place, entry) in plan.entries.enumerated() where entry.member.client.sampleCount == 0 {
      refuse(place, check(place).withoutRows)
    }
  }

  /// Lets the server make every client's brief, and measures them.
  private static func makeBriefs(
    for cohort: [CohortMember], of loop: RoundLoop<Runner>, _ round: Round, into briefs: BriefSpool
  ) throws -> [RoundPlan.BriefSize] {
    let mayBound = loop.simulation.options.stragglers.partialWork != .none
    return try cohort.map { member in
      var brief = try loop.server.brief(for: member.client.id, round: round)
      try Tensor.check("round \(round.index), brief for \(member.client.id)")
      let bytes = try brief.encoded()
      try briefs.append(bytes)
      guard mayBound else { return .init(plain: bytes.count, bounded: bytes.count) }
      brief.fields[Message.stepLimitKey] = .int(member.client.localSteps)
      return .init(plain: bytes.count, bounded: try brief.encoded().count)
    }
  }

  /// Runs the clients and absorbs what they send, in order of the cohort.
  ///
  /// - Parameter report: Hears of each client's end.
  /// - Returns: Greatest number of updates that waited at one time.
  /// - Throws: What the run cannot go on after: a full disk, or cancelling.
  func train(report: SimulationObserver) async throws -> Int {
    let trained = Set(running)
    for place in record.clients.indices where !trained.contains(place) {
      report(.clientEnded(round: round.index, record.clients[place]))
    }
    for event in events { report(.noticed(event)) }
    let (runner, round) = (loop.runner, round)
    let updateBytes = running.map { record.clients[$0].downlinkBytes }.max() ?? 0
    let window = loop.window(resultBytes: max(updateBytes, expectedUplink ?? 0))
    return try await window.run(running.count) { index in
      plan.entries[running[index]].steps
    } begin: { index in
      try turn(running[index])
    } work: { turn in
      try await runner.run(turn.client, brief: turn.brief, round: round, state: turn.state)
    } take: { index, result in
      let (place, noticed) = (running[index], events.count)
      switch result {
      case .success(let answer): try take(answer, from: place)
      case .failure(let error): fail(place, error)
      }
      report(.clientEnded(round: round.index, record.clients[place]))
      for event in events[noticed...] { report(.noticed(event)) }
    }
  }

  /// Refuses a round that hardly anyone contributed to.
  func requireEnough(_ minimum: Int) throws(ApusError) {
    guard !record.clients.isEmpty, record.updates < minimum else { return }
    let reasons = record.clients.compactMap { client in
      client.reason.map { "\(client.client): \($0)" }
        ?? (client.status == .used || client.status == .usedThenLost
          ? nil : "\(client.client): \(client.status.rawValue)")
    }
    throw ApusError(
      .runState, at: "round \(round.index)",
      "\(record.updates) updates came, \(minimum) are needed "
        + "(\(reasons.prefix(3).joined(separator: "; ")))",
      remedy: "Correct the cause and resume the run; the rounds before this one are committed")
  }

  private struct Turn: Sendable {
    let client: ClientID
    let brief: Data
    let state: Data?
  }

  private func turn(_ place: Int) throws -> Turn {
    let client = plan.entries[place].member.client.id
    return Turn(
      client: client, brief: try brief(place), state: try loop.states.state(of: client.index))
  }

  /// The brief as it is sent: with a bound on the client's steps, if it has one.
  private func brief(_ place: Int) throws -> Data {
    let bytes = try briefs.brief(place)
    guard let limit = plan.entries[place].stepLimit, limit > 0 else { return bytes }
    var message = try Message(encoded: bytes, at: "round \(round.index), brief")
    message.fields[Message.stepLimitKey] = .int(limit)
    return try message.encoded()
  }

  /// The tensors that a client got; most clients of a round get the same.
  private func sent(_ place: Int) throws -> NamedTensors {
    let bytes = try brief(place)
    if let latest = latestSent, latest.bytes == bytes { return latest.tensors }
    let tensors = try Message(encoded: bytes, at: "round \(round.index), brief").tensors
    latestSent = (bytes, tensors)
    return tensors
  }

  private func check(_ place: Int) -> UpdateCheck {
    UpdateCheck(client: plan.entries[place].member.client, round: round)
  }

  /// Lets the server absorb an update; what is wrong with it ends this client's part only.
  ///
  /// A client's new state is kept together with its update, or not at all.
  private func take(_ answer: ClientAnswer, from place: Int) throws {
    let check = check(place)
    record.clients[place].uplinkBytes = answer.update.count
    let update: Message
    do {
      update = try check.decoded(answer.update)
      record.clients[place].steps = update.fields["steps"]?.int ?? record.clients[place].steps
      record.clients[place].loss = update.fields["loss"]?.double
      let weight = weight(of: update, at: place)
      // The copy keeps a half that fails in the middle of absorbing out of the run.
      var server = loop.server
      try server.absorb(update, from: check.client.id, weight: weight, round: round)
      try Tensor.check(check.place)
      loop.server = server
      record.clients[place].weight = weight
    } catch {
      try? Tensor.check(check.place)
      return refuse(place, error)
    }
    if let event = check.suspicion(of: update, sent: try sent(place)) { events.append(event) }
    try loop.states.stage(answer.state, for: check.client.id.index, round: round.index)
  }

  private func weight(of update: Message, at place: Int) -> Double {
    let member = plan.entries[place].member
    switch member.weight {
    case .fixed(let weight): return weight
    case .aggregation:
      return loop.simulation.aggregation.weight(
        sampleCount: update.sampleCount ?? member.client.sampleCount)
    }
  }

  private func fail(_ place: Int, _ error: any Error) {
    end(place, .failed, .clientFailed, error)
  }

  private func refuse(_ place: Int, _ error: any Error) {
    end(place, .refused, .updateRefused, error)
  }

  private func end(
    _ place: Int, _ status: ClientRecord.Status, _ kind: RunEvent.Kind, _ error: any Error
  ) {
    let reason = (error as? ApusError)?.description ?? "\(error)"
    record.clients[place].status = status
    record.clients[place].reason = reason
    events.append(
      RunEvent(
        round: round.index, client: record.clients[place].client.name, kind: kind, text: reason))
  }

  private func planned(
    _ entry: RoundPlan.Entry, briefBytes: Int, expectedUplink: Int?
  ) -> ClientRecord {
    var client = ClientRecord(
      client: entry.member.client.id, status: entry.fate.status, downlinkBytes: briefBytes)
    client.steps = entry.steps
    client.virtualSeconds = entry.seconds
    client.joules = entry.joules
    if entry.fate == .late || entry.fate == .surplus {
      client.uplinkBytes = expectedUplink ?? briefBytes
    }
    return client
  }

  private static func requireDistinct(_ cohort: [CohortMember], _ round: Round) throws(ApusError) {
    var seen: Set<Int> = []
    for member in cohort where !seen.insert(member.client.id.index).inserted {
      throw ApusError(
        .silentFailure, at: "round \(round.index), \(member.client.id)",
        "the client is in the cohort twice", remedy: "Report this as an error of the sampler")
    }
  }
}

extension RoundPlan.Fate {
  fileprivate var status: ClientRecord.Status {
    switch self {
    case .used: .used
    case .usedThenLost: .usedThenLost
    case .late: .late
    case .surplus: .surplus
    case .lost: .lost
    case .tooSlow: .tooSlow
    case .outOfMemory: .outOfMemory
    }
  }
}

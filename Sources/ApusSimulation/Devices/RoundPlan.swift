import ApusBase
import ApusCore
import Foundation

/// The course of a round in virtual time, planned before anyone trains.
///
/// It follows from the seed and from sizes that the server knows: bytes of the briefs, local
/// steps, and the size of an update as the previous round had it (before the first, that of the
/// brief). No clock of the real world enters, so a plan is the same on every machine. Whose
/// report would be discarded does not train at all, but is charged in full; its state stays.
struct RoundPlan {
  /// What becomes of a client's report.
  enum Fate: String, Sendable {
    /// It arrives and counts.
    case used
    /// It arrives and counts, and the client is lost afterwards.
    case usedThenLost = "used, then lost"
    /// It arrives after the deadline.
    case late
    /// It arrives after enough others.
    case surplus
    /// The client is lost before its upload.
    case lost
    /// No step fits before the deadline.
    case tooSlow = "too slow"
    /// The device has too little memory.
    case outOfMemory = "out of memory"

    var isUsed: Bool { self == .used || self == .usedThenLost }
  }

  /// The plan for one member of the cohort.
  struct Entry {
    let member: CohortMember
    var fate: Fate
    /// Bound on its steps; nil for all.
    var stepLimit: Int?
    /// Steps that it does.
    var steps: Int
    /// Time from the round's beginning to the arrival of the report.
    var seconds: Double
    /// Energy of receiving, training and sending.
    var joules: Double
  }

  private(set) var entries: [Entry] = []
  /// When the server goes on.
  private(set) var seconds = 0.0
  /// Latest time at which a report counts.
  let deadline: Double

  /// Length of an encoded brief.
  struct BriefSize {
    /// Bytes without a bound on the client's steps.
    let plain: Int
    /// Bytes, at most, with one.
    let bounded: Int
  }

  /// What the plan of a round goes by.
  struct Terms {
    let fleet: Fleet
    let workload: Workload
    let policy: StragglerPolicy
    /// Bytes of an update as the server expects it; nil if it has seen none.
    let uplinkBytes: Int?
    /// Number of reports that the round waits for.
    let wanted: Int
  }

  /// Plans a round.
  ///
  /// - Parameters:
  ///   - cohort: Its clients.
  ///   - briefs: Bytes of each client's brief, as it is and with a bound on the steps in it.
  ///   - round: The round, whose streams decide on jitter and losses.
  ///   - terms: Devices, work and waiting.
  init(cohort: [CohortMember], briefs: [BriefSize], round: Round, terms: Terms) {
    let journeys = zip(cohort, briefs).map { member, brief in
      Journey(member, brief: brief, round: round, terms: terms)
    }
    deadline = terms.policy.seconds(
      predicted: journeys.filter(\.fits).map { $0.seconds(steps: $0.localSteps, jitter: 1) })
    for journey in journeys {
      entries.append(journey.entry(policy: terms.policy, deadline: deadline))
    }
    closeRound(wanted: terms.wanted)
  }

  /// Keeps the first reports that are wanted, and ends the round with the last of them.
  private mutating func closeRound(wanted: Int) {
    let arriving = entries.indices.filter { entries[$0].fate.isUsed }
      .sorted { (entries[$0].seconds, $0) < (entries[$1].seconds, $1) }
    for index in arriving.dropFirst(wanted) { entries[index].fate = .surplus }
    let kept = arriving.prefix(wanted)
    let last = kept.last.map { entries[$0].seconds } ?? 0
    let everyoneCame = kept.count == min(wanted, entries.count)
    seconds = everyoneCame || deadline == .infinity ? last : deadline
  }
}

/// One client's way through a round: receive, train, send.
private struct Journey {
  let member: CohortMember
  let fits: Bool
  let localSteps: Int
  let jitter: Double
  private let device: DeviceProfile
  private let downlink: Double
  private let boundedDownlink: Double
  private let uplink: Double
  private let perStep: Double
  private var stream: RandomStream

  init(_ member: CohortMember, brief: RoundPlan.BriefSize, round: Round, terms: RoundPlan.Terms) {
    self.member = member
    device = terms.fleet.device(of: member.client.id.index)
    fits = device.holds(terms.workload)
    localSteps = member.client.localSteps
    stream = round.random(of: member.client.id).substream("device")
    jitter = exp(device.jitter * stream.gaussian())
    downlink = device.secondsDown(bytes: brief.plain)
    boundedDownlink = device.secondsDown(bytes: brief.bounded)
    uplink = device.secondsUp(bytes: terms.uplinkBytes ?? brief.plain)
    perStep = device.secondsPerStep(of: terms.workload)
  }

  /// Tₖ: down + steps · time per step + up.
  func seconds(steps: Int, jitter: Double, isBounded: Bool = false) -> Double {
    (isBounded ? boundedDownlink : downlink) + Double(steps) * perStep * jitter + uplink
  }

  func entry(policy: StragglerPolicy, deadline: Double) -> RoundPlan.Entry {
    var draws = stream
    let isLost = draws.uniform() < device.dropoutBeforeUpload
    let isLostLater = draws.uniform() < device.dropoutAfterUpload
    let limit = stepLimit(policy, deadline, &draws)
    let steps = fits ? limit ?? localSteps : 0
    let time = seconds(steps: steps, jitter: jitter, isBounded: limit != nil)
    let fate: RoundPlan.Fate =
      if !fits {
        .outOfMemory
      } else if isLost {
        .lost
      } else if limit == 0 {
        .tooSlow
      } else if time > deadline {
        .late
      } else if isLostLater {
        .usedThenLost
      } else {
        .used
      }
    let sends = fate.isUsed || fate == .late
    let active = sends ? time : time - uplink
    return RoundPlan.Entry(
      member: member, fate: fate, stepLimit: limit, steps: steps, seconds: active,
      joules: device.watts * active)
  }

  /// The bound on the client's steps; 0 if not one fits, nil if it may do all.
  private func stepLimit(
    _ policy: StragglerPolicy, _ deadline: Double, _ draws: inout RandomStream
  ) -> Int? {
    switch policy.partialWork {
    case .none: return nil
    case .fitting:
      guard seconds(steps: localSteps, jitter: jitter) > deadline else { return nil }
      let room = ((deadline - boundedDownlink - uplink) / (perStep * jitter)).rounded(.down)
      guard room >= 1 else { return 0 }
      var steps = Int(min(Double(localSteps), room))
      // Division and multiplication round differently; the bound itself has to fit.
      while steps > 0, seconds(steps: steps, jitter: jitter, isBounded: true) > deadline {
        steps -= 1
      }
      return steps
    case .random:
      guard draws.uniform() < policy.stragglerShare, localSteps > 1 else { return nil }
      return 1 + draws.integer(below: localSteps - 1)
    }
  }
}

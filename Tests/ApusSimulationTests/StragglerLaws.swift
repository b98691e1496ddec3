import ApusBase
import ApusCore
import ApusTestSupport
import Foundation
import Testing

@testable import ApusSimulation

@Suite struct StragglerLaws {
  /// Receives 1,000 and sends 500 bytes per second, does 2 steps per second, at 3 watts.
  private func device(jitter: Double = 0) -> DeviceProfile {
    var device = DeviceProfile()
    device.stepsPerSecond = 2
    device.downlinkBytesPerSecond = 1_000
    device.uplinkBytesPerSecond = 500
    device.watts = 3
    device.jitter = jitter
    return device
  }

  /// A round of clients with these numbers of steps, which get 1,000 and send 2,000 bytes.
  private func plan(
    steps: [Int], _ device: DeviceProfile, policy: StragglerPolicy = StragglerPolicy(),
    wanted: Int? = nil, memory: Double = 0, seed: UInt64 = 1
  ) -> RoundPlan {
    let cohort = steps.enumerated().map {
      CohortMember(
        client: FederationClient(
          id: ClientID(index: $0, name: "client \($0)"), sampleCount: 5, localSteps: $1))
    }
    var workload = Workload()
    workload.memoryBytes = memory
    return RoundPlan(
      cohort: cohort, briefs: steps.map { _ in .init(plain: 1_000, bounded: 1_100) },
      round: Round(index: 0, total: 1, root: RandomStream(seed: seed)),
      terms: RoundPlan.Terms(
        fleet: Fleet(all: device), workload: workload, policy: policy, uplinkBytes: 2_000,
        wanted: wanted ?? steps.count))
  }

  @Test func `virtual time is down + steps + up, and energy is power times time`() {
    let plan = plan(steps: [10, 30], device())
    #expect(plan.entries.map(\.seconds) == [10, 20])
    #expect(plan.entries.map(\.joules) == [30, 60])
    #expect(plan.seconds == 20)
    #expect(plan.entries.allSatisfy { $0.fate == .used && $0.stepLimit == nil })
  }

  @Test(arguments: 0..<30)
  func `over-selection keeps the first reports and charges all`(seed: Int) {
    let plan = plan(
      steps: (0..<13).map { 5 + 3 * ($0 % 4) }, device(jitter: 0.6), wanted: 10, seed: UInt64(seed))
    let kept = plan.entries.filter { $0.fate == .used }.map(\.seconds)
    let others = plan.entries.filter { $0.fate == .surplus }.map(\.seconds)
    #expect(kept.count == 10 && others.count == 3)
    #expect((kept.max() ?? 0) <= (others.min() ?? 0))
    #expect(plan.seconds == kept.max())
    #expect(plan.entries.allSatisfy { $0.joules == 3 * $0.seconds })
  }

  @Test func `a quantile deadline lets that share of equal devices through`() {
    var policy = StragglerPolicy()
    policy.deadline = .quantile
    policy.deadlineQuantile = 0.8
    let plan = plan(steps: Array(1...10), device(), policy: policy)
    #expect(plan.entries.map { $0.fate == .used } == (1...10).map { $0 <= 8 })
    #expect(plan.entries[9].fate == .late)
    #expect(plan.seconds == 9)
    #expect(plan.deadline == 9)
  }

  @Test(arguments: 0..<50)
  func `partial work is the most that fits before the deadline`(seed: Int) {
    var stream = RandomStream(seed: 4).substream("case", seed)
    var policy = StragglerPolicy()
    policy.deadline = .fixed
    policy.deadlineSeconds = 4 + 10 * stream.uniform()
    policy.partialWork = .fitting
    let steps = (0..<20).map { _ in 1 + stream.integer(below: 40) }
    let device = device(jitter: 0.5)
    let plan = plan(steps: steps, device, policy: policy, seed: UInt64(seed))
    let free = self.plan(steps: steps, device, seed: UInt64(seed))
    for (index, (entry, alone)) in zip(plan.entries, free.entries).enumerated() {
      let perStep = (alone.seconds - 5) / Double(steps[index])
      switch entry.fate {
      case .tooSlow: #expect(5.1 + perStep > policy.deadlineSeconds - 1e-9)
      default:
        #expect(entry.fate == .used)
        #expect(entry.seconds <= policy.deadlineSeconds)
        guard let limit = entry.stepLimit else {
          #expect(alone.seconds <= policy.deadlineSeconds)
          continue
        }
        #expect(limit >= 1 && limit < steps[index] && entry.steps == limit)
        #expect(5.1 + Double(limit + 1) * perStep > policy.deadlineSeconds - 1e-9)
      }
    }
  }

  /// The number of cut clients has a deviation of 13.4; five times that is a bug.
  @Test func `random partial work cuts its share of the cohort`() {
    var policy = StragglerPolicy()
    policy.partialWork = .random
    policy.stragglerShare = 0.9
    let plan = plan(steps: Array(repeating: 20, count: 2_000), device(), policy: policy)
    let limits = plan.entries.compactMap(\.stepLimit)
    #expect(abs(limits.count - 1_800) < 68)
    #expect(Set(limits) == Set(1...19))
  }

  @Test func `losses and small memories end a client's part`() {
    var lossy = device()
    lossy.dropoutBeforeUpload = 1
    let lost = plan(steps: [10], lossy).entries[0]
    #expect(lost.fate == .lost)
    #expect(lost.seconds == 6)
    #expect(lost.joules == 18)
    lossy.dropoutBeforeUpload = 0
    lossy.dropoutAfterUpload = 1
    #expect(plan(steps: [10], lossy).entries[0].fate == .usedThenLost)
    lossy.memoryBytes = 10
    let small = plan(steps: [10], lossy, memory: 11).entries[0]
    #expect(small.fate == .outOfMemory && small.steps == 0)
  }

  @Test func `an infinite deadline is the run without one, byte for byte`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.fleet = Fleet(all: device(jitter: 0.5))
    try await federation.run(in: folder("plain"))
    federation.options.stragglers.deadline = .fixed
    federation.options.stragglers.deadlineSeconds = .infinity
    federation.options.stragglers.partialWork = .fitting
    try await federation.run(in: folder("infinite"))
    #expect(
      try Fingerprint(folder("plain"), clients: 9) == Fingerprint(folder("infinite"), clients: 9))
  }

  @Test func `discarded reports are charged and change nothing`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.fleet = Fleet(all: device(jitter: 0.8))
    federation.options.sampling.overSelection = 0.6
    federation.options.stragglers.deadline = .quantile
    federation.options.stragglers.deadlineQuantile = 1
    try await federation.run(in: folder("run"), workers: 2)
    try await federation.run(in: folder("again"), workers: 1)
    #expect(
      try Fingerprint(folder("run"), clients: 9) == Fingerprint(folder("again"), clients: 9))
    for round in try RunArchive(folder("run")).rounds() {
      #expect(round.clients.count == 8 && round.updates <= 5)
      for client in round.clients {
        #expect(client.downlinkBytes > 0 && client.uplinkBytes > 0 && client.joules > 0)
        #expect((client.weight > 0) == (client.status == .used))
      }
    }
    let statuses = Set(try RunArchive(folder("run")).rounds().flatMap(\.clients).map(\.status))
    #expect(statuses.isSuperset(of: [.used]) && statuses.count > 1)
  }

  @Test func `a client does the steps that its brief allows`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.fleet = Fleet(all: device(jitter: 0.8))
    federation.options.stragglers.partialWork = .random
    federation.options.stragglers.stragglerShare = 0.5
    try await federation.run(in: folder("run"))
    let clients = try RunArchive(folder("run")).rounds().flatMap(\.clients)
    #expect(clients.allSatisfy { (1...6).contains($0.steps) })
    #expect(clients.contains { $0.steps < 6 } && clients.contains { $0.steps == 6 })
  }

  /// The number of phones has a deviation of 31; five times that is a bug.
  @Test func `a fleet follows its mix and its seed`() throws {
    let root = RandomStream(seed: 9)
    let fleet = try Fleet(named: "edge", root: root)
    #expect(fleet == (try Fleet(named: "edge", root: root)))
    let names = (0..<4_000).map { fleet.device(of: $0).name }
    let phones = names.count { $0 == "phone" }
    #expect(abs(phones - 1_600) < 155)
    let error = #expect(throws: ApusError.self) { try Fleet(named: "phone", root: root) }
    #expect(error?.remedy.contains("Did you mean \"phones\"") == true)
    for device in DeviceProfile.catalog { try device.validate() }
  }
}

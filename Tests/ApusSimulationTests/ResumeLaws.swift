import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import Foundation
import Synchronization
import Testing

@Suite struct ResumeLaws {
  /// Where a round is stopped.
  enum Moment: CaseIterable {
    case atItsBeginning
    case afterTraining
    /// With devices whose virtual time goes by the bytes of the round before.
    case amongStragglers
  }

  @Test(arguments: 0..<4, Moment.allCases)
  func `stopping in a round and going on changes no bit`(
    round: Int, moment: Moment
  ) async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    if moment == .amongStragglers {
      federation.fleet = try Fleet(named: "edge", root: RandomStream(seed: 5))
      federation.options.workload.flopsPerStep = 2e9
      federation.options.sampling.overSelection = 0.5
      federation.options.stragglers.deadline = .quantile
      federation.options.stragglers.partialWork = .fitting
    }
    let (complete, afterTraining) = (federation, moment == .afterTraining)
    try await complete.run(in: folder("whole"))
    let stopped = Task {
      try await complete.run(in: folder("halves")) { event in
        switch event {
        case .roundBegan(let index, _, _) where index == round && !afterTraining: cancelRun()
        case .measured(let rows) where rows.first?.round == round && afterTraining: cancelRun()
        default: break
        }
      }
    }
    let error = await #expect(throws: ApusError.self) { try await stopped.value }
    #expect(error?.code == .interrupted)
    #expect(try RunArchive(folder("halves")).rounds().count == round)
    try await complete.run(in: folder("halves"))
    #expect(
      try Fingerprint(folder("whole"), clients: 9) == Fingerprint(folder("halves"), clients: 9))
  }

  @Test(arguments: 0..<5)
  func `kill -9 at any moment and going on changes no bit`(moment: Int) async throws {
    let folder = try TemporaryFolder()
    try await ToyFederation().run(in: folder("whole"))
    let path = folder("killed").path
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path as String, moment = moment as Int] in
      var draw = RandomStream(seed: 77).substream("moment", moment)
      let last = draw.integer(below: 32)
      let heard = Atomic(0)
      try await ToyFederation().run(in: URL(fileURLWithPath: path)) { _ in
        guard heard.add(1, ordering: .relaxed).newValue == last + 1 else { return }
        // From beside the run, so that it is hit wherever it stands by then.
        Thread { kill(getpid(), SIGKILL) }.start()
      }
      // The run may be over before the signal comes.
      while true { pause() }
    }
    try await ToyFederation().run(in: folder("killed"))
    #expect(
      try Fingerprint(folder("whole"), clients: 9) == Fingerprint(folder("killed"), clients: 9))
  }

  @Test func `what an uncommitted round left behind is ignored and removed`() async throws {
    let folder = try TemporaryFolder()
    let federation = ToyFederation()
    try await federation.run(in: folder("whole"))
    let stopped = Task {
      try await federation.run(in: folder("run")) {
        if case .roundBegan(2, _, _) = $0 { cancelRun() }
      }
    }
    _ = await stopped.result
    for name in [
      "checkpoints/round-2.safetensors", "states/round-2.states", "states/round-9.states",
    ] {
      try Data("half".utf8).write(to: folder("run").appendingPathComponent(name))
    }
    try await federation.run(in: folder("run"))
    #expect(
      try Fingerprint(folder("whole"), clients: 9) == Fingerprint(folder("run"), clients: 9))
    let states = folder("run").appendingPathComponent("states/round-9.states")
    #expect(!FileManager.default.fileExists(atPath: states.path))
  }

  @Test func `a finished run has nothing left to do`() async throws {
    let folder = try TemporaryFolder()
    let federation = ToyFederation()
    let first = try await federation.run(in: folder("run"))
    let before = try Fingerprint(folder("run"), clients: 9)
    let again = try await federation.run(in: folder("run"))
    #expect(first.global.isIdentical(to: again.global))
    #expect(try Fingerprint(folder("run"), clients: 9) == before)
  }
}

/// Cancels the run that is telling something.
func cancelRun() { withUnsafeCurrentTask { $0?.cancel() } }

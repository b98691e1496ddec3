import Testing

@testable import ApusReports

@Suite struct ProgressStateLaws {
  private func state(_ events: [(at: Int, ProgressEvent)]) -> ProgressState {
    var state = ProgressState()
    for (second, event) in events { state.apply(event, at: .seconds(second)) }
    return state
  }

  private static let finished = ProgressEvent.roundFinished(
    round: 1, seconds: 1, uplinkBytes: 10, downlinkBytes: 20)

  @Test func `nothing is promised before the first client is done`() {
    let state = state([
      (0, .runStarted(title: "", rounds: 5)), (10, .roundStarted(round: 1, cohortSize: 4)),
    ])
    #expect(state.remaining(at: .seconds(60)) == nil)
  }

  @Test func `in the first round its clients set the pace`() {
    let state = state([
      (0, .runStarted(title: "", rounds: 5)), (10, .roundStarted(round: 1, cohortSize: 4)),
      (20, .clientFinished(round: 1, client: "a", loss: nil)),
    ])
    // A quarter of a round took 10 s, so a round takes 40 s, and 4.75 rounds are left.
    #expect(state.remaining(at: .seconds(20)) == .seconds(190))
  }

  @Test func `finished rounds set the pace, with what lies between them`() {
    let state = state([
      (0, .runStarted(title: "", rounds: 4)), (10, .roundStarted(round: 1, cohortSize: 2)),
      (20, Self.finished), (30, .roundStarted(round: 2, cohortSize: 2)),
      (
        50, .roundFinished(round: 2, seconds: 1, uplinkBytes: 1, downlinkBytes: 2)
      ),
      (60, .roundStarted(round: 3, cohortSize: 2)),
      (70, .clientFinished(round: 3, client: "a", loss: 1)),
    ])
    // Two rounds took 40 s; one and a half are left.
    #expect(state.remaining(at: .seconds(70)) == .seconds(30))
    #expect(state.uplinkBytes == 11 && state.downlinkBytes == 22)
  }

  @Test func `a resumed run counts old rounds as done but does not time them`() {
    let state = state([
      (0, .runStarted(title: "", rounds: 20)), (0, .roundStarted(round: 11, cohortSize: 1)),
      (6, .roundFinished(round: 11, seconds: 6, uplinkBytes: 0, downlinkBytes: 0)),
    ])
    #expect(state.part == 11.0 / 20)
    #expect(state.remaining(at: .seconds(6)) == .seconds(54))
  }

  @Test func `more clients or rounds than announced never exceed the whole`() {
    var state = state([
      (0, .runStarted(title: "", rounds: 1)), (0, .roundStarted(round: 1, cohortSize: 1)),
    ])
    for _ in 0..<3 { state.apply(.clientFinished(round: 1, client: "a", loss: 2), at: .zero) }
    #expect(state.part == 1 && state.clientsDone == 1)
    state.apply(.roundFinished(round: 7, seconds: 1, uplinkBytes: 0, downlinkBytes: 0), at: .zero)
    #expect(state.part == 1)
    #expect(state.remaining(at: .seconds(1)) == .zero)
  }

  @Test func `the training loss is the mean of this round, or of the one before`() {
    var state = state([
      (0, .runStarted(title: "", rounds: 3)), (0, .roundStarted(round: 1, cohortSize: 3)),
      (0, .clientFinished(round: 1, client: "a", loss: 1)),
      (0, .clientFinished(round: 1, client: "b", loss: nil)),
      (0, .clientFinished(round: 1, client: "c", loss: 2)),
    ])
    #expect(state.trainingLoss == 1.5)
    state.apply(.roundStarted(round: 2, cohortSize: 3), at: .zero)
    #expect(state.trainingLoss == 1.5)
    state.apply(.clientFinished(round: 2, client: "a", loss: 0.5), at: .zero)
    #expect(state.trainingLoss == 0.5)
  }

  @Test func `nothing is left when the run is over`() {
    let state = state([
      (0, .runStarted(title: "", rounds: 1)), (0, .roundStarted(round: 1, cohortSize: 1)),
      (6, Self.finished), (7, .runFinished),
    ])
    #expect(state.remaining(at: .seconds(8)) == nil)
  }
}

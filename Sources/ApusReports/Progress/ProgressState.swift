/// What is known about a run from its events so far.
///
/// Times are read from one clock and passed in, so the state is a function of what it was told.
struct ProgressState {
  /// What a run is doing.
  enum Phase {
    case idle
    case preparing
    case training
    case betweenRounds
  }

  private(set) var phase = Phase.idle
  private(set) var title = ""
  private(set) var rounds = 0
  private(set) var startedAt = Duration.zero
  /// The current round, or the last one between rounds.
  private(set) var round = 0
  private(set) var phaseStartedAt = Duration.zero
  private(set) var cohortSize = 0
  private(set) var clientsDone = 0
  /// Number of the last finished round.
  private(set) var lastFinished = 0
  /// Rounds that finished since this process began the run.
  private(set) var finishedHere = 0
  private(set) var accuracy: Double?
  private(set) var evaluationLoss: Double?
  private(set) var uplinkBytes = 0
  private(set) var downlinkBytes = 0

  private var firstRoundAt: Duration?
  private var lastRoundEndedAt = Duration.zero
  private var lossSum = 0.0
  private var lossCount = 0
  private var previousLoss: Double?

  /// Mean training loss of the clients of this round so far, or of the round before.
  var trainingLoss: Double? { lossCount > 0 ? lossSum / Double(lossCount) : previousLoss }

  /// Part of the run that is done, 0...1.
  var part: Double {
    rounds > 0 ? min(1, (Double(lastFinished) + roundPart) / Double(rounds)) : 0
  }

  /// Part of the current round that is done, by clients.
  private var roundPart: Double {
    phase == .training && cohortSize > 0 ? Double(clientsDone) / Double(cohortSize) : 0
  }

  mutating func apply(_ event: ProgressEvent, at now: Duration) {
    switch event {
    case .runStarted(let title, let rounds):
      self = ProgressState()
      (self.title, self.rounds, startedAt) = (title, max(0, rounds), now)
      enter(.preparing, at: now)
    case .roundStarted(let round, let cohortSize):
      // A resumed run begins in the middle: what came before is finished, but not timed.
      lastFinished = max(lastFinished, round - 1)
      previousLoss = trainingLoss
      (self.round, self.cohortSize, clientsDone) = (round, cohortSize, 0)
      (lossSum, lossCount) = (0, 0)
      firstRoundAt = firstRoundAt ?? now
      enter(.training, at: now)
    case .clientFinished(_, _, let loss):
      clientsDone = min(clientsDone + 1, cohortSize)
      if let loss { (lossSum, lossCount) = (lossSum + loss, lossCount + 1) }
    case .evaluation(_, let accuracy, let loss):
      (self.accuracy, evaluationLoss) = (accuracy ?? self.accuracy, loss ?? evaluationLoss)
    case .roundFinished(let round, _, let uplinkBytes, let downlinkBytes):
      self.round = round
      lastFinished = max(lastFinished, round)
      finishedHere += 1
      lastRoundEndedAt = now
      self.uplinkBytes += uplinkBytes
      self.downlinkBytes += downlinkBytes
      enter(.betweenRounds, at: now)
    case .notice: break
    case .runFinished: enter(.idle, at: now)
    }
  }

  /// Time that the run will probably still take; nil before anything can be told.
  ///
  /// Finished rounds set the pace, with whatever happened between them; in the first round its
  /// finished clients do. What is left is counted in rounds, the current one by its clients.
  func remaining(at now: Duration) -> Duration? {
    guard let firstRoundAt, phase != .idle else { return nil }
    let roundsLeft = max(0, Double(rounds - lastFinished) - roundPart)
    if finishedHere > 0 {
      return (lastRoundEndedAt - firstRoundAt) / finishedHere * roundsLeft
    }
    return roundPart > 0 ? (now - firstRoundAt) * (roundsLeft / roundPart) : nil
  }

  private mutating func enter(_ phase: Phase, at now: Duration) {
    self.phase = phase
    phaseStartedAt = now
  }
}

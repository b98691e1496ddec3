/// Something that happened in a federated run, in the order of happening.
public enum ProgressEvent: Sendable, Equatable {
  /// A run begins, or goes on; `rounds` counts all rounds, those before an interruption too.
  case runStarted(title: String, rounds: Int)
  /// Round `round`, counted from 1, begins with `cohortSize` clients.
  case roundStarted(round: Int, cohortSize: Int)
  /// A client's update has arrived; its training loss if it measured one.
  case clientFinished(round: Int, client: String, loss: Double?)
  /// The model was evaluated after round `round`, or before training if that is 0.
  case evaluation(round: Int, accuracy: Double?, loss: Double?)
  /// A round is over; the bytes are those of this round alone.
  case roundFinished(round: Int, seconds: Double, uplinkBytes: Int, downlinkBytes: Int)
  /// One line that a person should read: a warning or a finding.
  case notice(String)
  /// The run is over.
  case runFinished

  /// The event as one JSON object on one line, under the names that it has in Swift.
  ///
  /// - Parameter elapsed: Time since the run began.
  /// - Returns: The object without a line break; a number that JSON cannot spell is null.
  func json(elapsed: Duration) -> String {
    let (name, members) = named
    let time = JSONText.number((elapsed / .milliseconds(1)).rounded() / 1000)
    return JSONText.object(
      [("event", .text(name)), ("elapsedSeconds", time)] + members.map { ($0.key, $0.value) })
  }

  private var named: (name: String, members: KeyValuePairs<String, JSONText>) {
    switch self {
    case .runStarted(let title, let rounds):
      ("runStarted", ["title": .text(title), "rounds": .integer(rounds)])
    case .roundStarted(let round, let cohortSize):
      ("roundStarted", ["round": .integer(round), "cohortSize": .integer(cohortSize)])
    case .clientFinished(let round, let client, let loss):
      (
        "clientFinished",
        ["round": .integer(round), "client": .text(client), "loss": .optional(loss)]
      )
    case .evaluation(let round, let accuracy, let loss):
      (
        "evaluation",
        ["round": .integer(round), "accuracy": .optional(accuracy), "loss": .optional(loss)]
      )
    case .roundFinished(let round, let seconds, let uplinkBytes, let downlinkBytes):
      (
        "roundFinished",
        [
          "round": .integer(round), "seconds": .number(seconds),
          "uplinkBytes": .integer(uplinkBytes), "downlinkBytes": .integer(downlinkBytes),
        ]
      )
    case .notice(let text): ("notice", ["text": .text(text)])
    case .runFinished: ("runFinished", [:])
    }
  }
}

/// Progress as plain lines for files, pipes and build logs: no colour, nothing repainted.
enum ProgressLog {
  /// The line for an event that has already been applied, or nil if it is worth none.
  static func line(for event: ProgressEvent, _ state: ProgressState, at now: Duration) -> String? {
    switch event {
    case .runStarted(let title, let rounds):
      return "\(DisplayText.harmless(title)): \(rounds) \(rounds == 1 ? "round" : "rounds")"
    case .roundStarted, .clientFinished: return nil
    case .evaluation(let round, let accuracy, let loss):
      let place = round == 0 ? "before training" : "round \(round)/\(state.rounds)"
      let values = [
        accuracy.map { "accuracy \(Quantity.percent($0))" },
        loss.map { "loss \(Quantity.number($0, digits: 4))" },
      ]
      return "\(place): \(joined(values, ifEmpty: "evaluated"))"
    case .roundFinished(let round, let seconds, let uplinkBytes, let downlinkBytes):
      let values = [
        "done in \(Quantity.duration(seconds: seconds))",
        state.cohortSize == 1
          ? "\(state.clientsDone) of 1 client"
          : "\(state.clientsDone) of \(state.cohortSize) clients",
        state.trainingLoss.map { "training loss \(Quantity.number($0, digits: 4))" },
        "up \(Quantity.bytes(uplinkBytes))", "down \(Quantity.bytes(downlinkBytes))",
        round < state.rounds ? left(state, at: now) : nil,
      ]
      return "round \(round)/\(state.rounds): \(joined(values, ifEmpty: ""))"
    case .notice(let text): return "note: \(DisplayText.harmless(text))"
    case .runFinished: return summary(state, at: now)
    }
  }

  /// The line that shows that a run without news still works, or nil if none runs.
  static func heartbeat(_ state: ProgressState, at now: Duration) -> String? {
    let time = Quantity.duration(now - state.phaseStartedAt)
    return switch state.phase {
    case .idle: nil
    case .preparing: "still preparing after \(time)"
    case .training:
      "round \(state.round)/\(state.rounds): "
        + "\(state.clientsDone) of \(state.cohortSize) clients after \(time)"
    case .betweenRounds: "round \(state.round)/\(state.rounds): still working \(time) after its end"
    }
  }

  /// What is left when a run is over.
  static func summary(_ state: ProgressState, at now: Duration) -> String {
    let values = [
      "finished \(state.lastFinished) of \(state.rounds) rounds"
        + " in \(Quantity.duration(now - state.startedAt))",
      state.accuracy.map { "accuracy \(Quantity.percent($0))" },
      "up \(Quantity.bytes(state.uplinkBytes))", "down \(Quantity.bytes(state.downlinkBytes))",
    ]
    return joined(values, ifEmpty: "")
  }

  /// The estimate in words and in no finer unit than seconds, or nil if there is none.
  static func left(_ state: ProgressState, at now: Duration) -> String? {
    guard let remaining = state.remaining(at: now) else { return nil }
    let seconds = (remaining / .seconds(1)).rounded(.up)
    let isShort = seconds < 60
    return "about \(isShort ? "\(Int(seconds)) s" : Quantity.duration(seconds: seconds)) left"
  }

  private static func joined(_ values: [String?], ifEmpty empty: String) -> String {
    let known = values.compactMap { $0 }
    return known.isEmpty ? empty : known.joined(separator: ", ")
  }
}

/// Progress as the three lines that are repainted in place on a terminal.
struct ProgressBlock {
  /// Lines with their styles, none wider than the terminal allows.
  let lines: [String]
  /// Columns that each line takes.
  private let widths: [Int]

  /// Draws a run as it stands.
  init(_ state: ProgressState, at now: Duration, on terminal: Terminal) {
    let pieces = [
      Self.heading(state), Self.bar(state, at: now, on: terminal),
      Self.facts(state, at: now, on: terminal),
    ]
    // The last column stays free: some terminals wrap as soon as it is filled.
    let limit = terminal.width - 1
    lines = pieces.map { $0.rendered(on: terminal, limit: limit) }
    widths = pieces.map { min($0.width, limit) }
  }

  /// Rows that the block takes on a terminal which may have become narrower since it was drawn.
  func rows(on terminal: Terminal) -> Int {
    widths.reduce(0) { $0 + max(1, ($1 + terminal.width - 1) / terminal.width) }
  }

  private static func heading(_ state: ProgressState) -> StyledLine {
    var line = StyledLine()
    line.append(DisplayText.harmless(state.title), .bold)
    return line
  }

  private static func bar(
    _ state: ProgressState, at now: Duration, on terminal: Terminal
  ) -> StyledLine {
    let length = min(30, max(8, terminal.width / 3))
    let filled = Int((state.part * Double(length)).rounded(.down))
    let isRich = terminal.allowsUnicode
    let (full, empty) = isRich ? (terminal.allowsColor ? ("━", "━") : ("█", "░")) : ("#", "-")
    var line = StyledLine()
    line.append(isRich ? "" : "[")
    line.append(String(repeating: full, count: filled), .cyan)
    line.append(String(repeating: empty, count: length - filled), .dim)
    line.append(isRich ? " " : "] ")
    line.append("round \(max(state.round, min(1, state.rounds)))/\(state.rounds)", .bold)
    append(Quantity.duration(now - state.startedAt), to: &line, on: terminal)
    if let left = ProgressLog.left(state, at: now) { append(left, to: &line, on: terminal) }
    return line
  }

  private static func facts(
    _ state: ProgressState, at now: Duration, on terminal: Terminal
  ) -> StyledLine {
    let frames = terminal.allowsUnicode ? Array("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") : Array("|/-\\")
    let frame = Int(now / .milliseconds(100)) % frames.count
    var line = StyledLine()
    line.append("\(frames[max(0, frame)]) ", .cyan)
    switch state.phase {
    case .idle, .preparing: line.append("preparing")
    case .training: line.append("\(state.clientsDone)/\(state.cohortSize) clients")
    case .betweenRounds: line.append("round done")
    }
    if let loss = state.trainingLoss ?? state.evaluationLoss {
      append("loss \(Quantity.number(loss, digits: 4))", to: &line, on: terminal)
    }
    if let accuracy = state.accuracy {
      append("accuracy \(Quantity.percent(accuracy))", .green, to: &line, on: terminal)
    }
    let (up, down) = (Quantity.bytes(state.uplinkBytes), Quantity.bytes(state.downlinkBytes))
    append("up \(up), down \(down)", to: &line, on: terminal)
    return line
  }

  private static func append(
    _ text: String, _ style: Style = .plain, to line: inout StyledLine, on terminal: Terminal
  ) {
    line.append(terminal.allowsUnicode ? " · " : " | ", .dim)
    line.append(text, style)
  }
}

import Synchronization

/// Shows a federated run while it happens, never silent for long, and leaves a clean screen.
///
/// Any thread may report. The display writes from within ``report(_:)`` and ``refresh()``, one
/// writer at a time, so the sink must not report back.
public final class ProgressDisplay: Sendable {
  /// A way to show progress.
  public enum Mode: Sendable {
    /// Three lines repainted in place; notices stay above them.
    case live
    /// A line for each round and evaluation, and a sign of life every 20 s without news.
    case plain
    /// Nothing.
    case quiet
    /// One JSON object an event, for programs.
    case json

    /// What fits a terminal: live where it can be repainted, plain lines elsewhere.
    public static func suited(to terminal: Terminal) -> Mode {
      terminal.allowsRepainting ? .live : .plain
    }
  }

  private struct State {
    var progress = ProgressState()
    var block: ProgressBlock?
    var isCursorHidden = false
    var lastOutput = Duration.zero
  }

  private static let paintInterval = Duration.milliseconds(100)
  private static let heartbeatInterval = Duration.seconds(20)

  private let mode: Mode
  private let terminal: @Sendable () -> Terminal
  private let now: @Sendable () -> Duration
  private let sink: @Sendable (String) -> Void
  private let state = Mutex(State())

  /// Creates a display that moves only when it is told to.
  ///
  /// - Parameters:
  ///   - mode: How to show progress; `.live` becomes `.plain` where nothing can be repainted.
  ///   - terminal: Asked before each painting, since a window may change its size.
  ///   - now: A clock that never goes back, from any origin.
  ///   - sink: Takes the text as it is to be written.
  public init(
    mode: Mode, terminal: @escaping @Sendable () -> Terminal,
    now: @escaping @Sendable () -> Duration, sink: @escaping @Sendable (String) -> Void
  ) {
    self.mode = mode == .live ? Mode.suited(to: terminal()) : mode
    self.terminal = terminal
    self.now = now
    self.sink = sink
  }

  /// The display of a command: JSON on standard output, all else on standard error.
  ///
  /// It moves by itself, in a thread of its own, for as long as it is kept.
  ///
  /// - Parameter mode: How to show progress; nil chooses by what standard error is.
  /// - Returns: A display for one run after the other.
  public static func standard(_ mode: Mode? = nil) -> ProgressDisplay {
    let mode = mode ?? .suited(to: .current(.error))
    let stream = mode == .json ? StandardStream.output : .error
    let start = ContinuousClock.now
    let display = ProgressDisplay(
      mode: mode, terminal: { .current(stream) }, now: { ContinuousClock.now - start },
      sink: { stream.write($0) })
    if mode == .live || mode == .plain {
      Ticker.start(every: paintInterval) { [weak display] in
        display?.refresh()
        return display != nil
      }
    }
    return display
  }

  deinit { close() }

  /// Shows what happened.
  public func report(_ event: ProgressEvent) {
    let now = now()
    state.withLock { state in
      state.progress.apply(event, at: now)
      switch mode {
      case .quiet: break
      case .json: sink(event.json(elapsed: now - state.progress.startedAt) + "\n")
      case .plain: write(ProgressLog.line(for: event, state.progress, at: now), at: now, &state)
      case .live: showLive(event, at: now, &state)
      }
    }
  }

  /// Shows that time goes by: repaints, or writes a sign of life when one is due.
  public func refresh() {
    let now = now()
    state.withLock { state in
      switch mode {
      case .quiet, .json: break
      case .plain:
        guard now - state.lastOutput >= Self.heartbeatInterval else { return }
        write(ProgressLog.heartbeat(state.progress, at: now), at: now, &state)
      case .live: repaint(at: now, &state)
      }
    }
  }

  /// Takes the block off the screen and gives the cursor back, for a run that ends by an error.
  ///
  /// After ``ProgressEvent/runFinished`` there is nothing left to do, and calling twice is fine.
  public func close() {
    state.withLock { state in
      state.progress = ProgressState()
      let text = leave(&state)
      if !text.isEmpty { sink(text) }
    }
  }

  private func write(_ line: String?, at now: Duration, _ state: inout State) {
    guard let line else { return }
    state.lastOutput = now
    sink(line + "\n")
  }

  private func showLive(_ event: ProgressEvent, at now: Duration, _ state: inout State) {
    switch event {
    case .runStarted:
      sink(leave(&state) + ANSI.hideCursor + paint(at: now, &state))
      state.isCursorHidden = true
    case .notice(let text):
      let label = terminal().styled("note:", .yellow)
      let line = "\(label) \(DisplayText.harmless(text))\n"
      let above = erase(&state) + line
      sink(state.progress.phase == .idle ? above : above + paint(at: now, &state))
    case .runFinished:
      sink(leave(&state) + ProgressLog.summary(state.progress, at: now) + "\n")
    case .roundStarted, .clientFinished, .evaluation, .roundFinished: repaint(at: now, &state)
    }
  }

  private func repaint(at now: Duration, _ state: inout State) {
    guard state.progress.phase != .idle, now - state.lastOutput >= Self.paintInterval else {
      return
    }
    sink(paint(at: now, &state))
  }

  /// The codes and lines that put the current block in the place of the one on the screen.
  private func paint(at now: Duration, _ state: inout State) -> String {
    let terminal = terminal()
    let block = ProgressBlock(state.progress, at: now, on: terminal)
    let back = ANSI.up(state.block?.rows(on: terminal) ?? 0)
    state.block = block
    state.lastOutput = now
    return back + block.lines.map { $0 + ANSI.clearLine + "\n" }.joined() + ANSI.clearBelow
  }

  /// The codes that take the block off the screen, empty if there is none.
  private func erase(_ state: inout State) -> String {
    guard let block = state.block else { return "" }
    state.block = nil
    return ANSI.up(block.rows(on: terminal())) + ANSI.clearBelow
  }

  /// The codes that leave the screen as it was found, empty if it is.
  private func leave(_ state: inout State) -> String {
    defer { state.isCursorHidden = false }
    return erase(&state) + (state.isCursorHidden ? ANSI.showCursor : "")
  }
}

/// Codes that move the cursor and clear the screen.
private enum ANSI {
  static let hideCursor = "\u{1B}[?25l"
  static let showCursor = "\u{1B}[?25h"
  static let clearLine = "\u{1B}[K"
  static let clearBelow = "\u{1B}[J"

  static func up(_ rows: Int) -> String { rows > 0 ? "\r\u{1B}[\(rows)A" : "" }
}

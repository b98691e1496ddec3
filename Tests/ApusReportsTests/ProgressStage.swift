import Synchronization

@testable import ApusReports

/// A display whose clock stands still until it is moved, and whose output is kept.
final class ProgressStage: Sendable {
  private let time = Mutex(Duration.seconds(1000))
  private let written = Mutex("")
  private let window: Mutex<Terminal>
  private let mode: ProgressDisplay.Mode

  init(_ mode: ProgressDisplay.Mode, on terminal: Terminal = .sample()) {
    self.mode = mode
    window = Mutex(terminal)
  }

  /// Everything written so far.
  var output: String { written.withLock { $0 } }

  /// The whole lines written so far.
  var lines: [String] { output.split(separator: "\n").map(String.init) }

  /// A display that plays on this stage.
  func makeDisplay() -> ProgressDisplay {
    ProgressDisplay(
      mode: mode, terminal: { [self] in window.withLock { $0 } },
      now: { [self] in time.withLock { $0 } },
      sink: { [self] text in written.withLock { $0 += text } })
  }

  func wait(_ span: Duration) { time.withLock { $0 += span } }

  func resize(to width: Int) { window.withLock { $0.width = width } }
}

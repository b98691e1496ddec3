import Foundation

/// Calls something again and again from a thread of its own.
///
/// A thread and not a task: the tasks' threads may all be busy training when it is due.
enum Ticker {
  /// Starts calling `action` until it returns false.
  static func start(every interval: Duration, _ action: @escaping @Sendable () -> Bool) {
    let seconds = interval / .seconds(1)
    Thread.detachNewThread {
      while action() { Thread.sleep(forTimeInterval: seconds) }
    }
  }
}

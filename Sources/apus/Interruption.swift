import Dispatch
import Foundation

/// Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.
enum Interruption {
  /// Runs `body` in a task that either signal cancels.
  static func cancelling(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await body() }
    let sources = [SIGINT, SIGTERM].map { signal in
      Foundation.signal(signal, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: signal, queue: .global())
      source.setEventHandler {
        if task.isCancelled { Foundation.exit(130) }
        task.cancel()
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    try await task.value
  }
}

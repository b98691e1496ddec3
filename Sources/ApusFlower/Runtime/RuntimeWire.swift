import ApusBase
import Foundation

/// Carries one request to a SuperLink or SuperNode, and its answer back.
///
/// All that is above works on bytes, so tests put a SuperLink of their own here.
protocol RuntimeWire: Sendable {
  /// Where the other side is, for errors.
  var address: String { get }

  /// Sends a request and waits for the answer.
  ///
  /// - Throws: ``WireFailure`` if no answer came; ``ApusError`` `.invalidMessage` if it is too large.
  func send(_ request: WireRequest) async throws -> WireAnswer
}

/// One request.
struct WireRequest: Sendable {
  /// Such as `/v1/runtime/acquire-task`.
  var path: String
  /// A serialized message; nil for a GET.
  var body: Data?
  var headers: [(name: String, value: String)] = []
  /// Whether it must have a connection of its own, because repeating it would lose something.
  var needsFreshConnection = false
}

/// One answer.
struct WireAnswer: Sendable {
  let status: Int
  let body: Data
}

/// Why there was no answer.
enum WireFailure: Error {
  /// Nobody answered; it may be worth trying again.
  case unreachable(any Error)
  /// The two sides do not agree on who may talk with whom; trying again does not help.
  case untrusted(any Error)
}

/// What crossed a wire: bodies of requests and answers, which is more than the messages in them.
public final class FlowerTraffic: Sendable {
  /// Counts.
  public struct Count: Sendable, Equatable {
    /// Requests that were answered.
    public var requests = 0
    /// Bytes of all request bodies.
    public var sentBytes = 0
    /// Bytes of all answers' bodies.
    public var receivedBytes = 0

    /// Nothing yet.
    public init() {}
  }

  private let lock = NSLock()
  private nonisolated(unsafe) var total = Count()

  init() {}

  /// What crossed so far.
  public var count: Count { lock.withLock { total } }

  func add(sent: Int, received: Int) {
    lock.withLock {
      total.requests += 1
      total.sentBytes += sent
      total.receivedBytes += received
    }
  }
}

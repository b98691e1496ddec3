import ApusBase
import AsyncHTTPClient
import Foundation
import SwiftProtobuf

/// The Runtime API of Flower: what an app's process may ask of its SuperLink or SuperNode.
///
/// Everything that a new version of Flower could change about names, paths, headers and codes is
/// in this folder.
struct RuntimeAPI: Sendable {
  let wire: any RuntimeWire
  private let version: FlowerVersion
  private let signature: TaskSignature?
  /// Waits, here and in all that is above; replaced in tests.
  let pause: @Sendable (Duration) async throws -> Void

  private static let prefix = "/v1/runtime/"
  private static let longestPause = 20.0
  /// So often in a row a connection is closed without a word, until TLS is taken to be the reason.
  private static let closingsOfTLS = 3

  /// Waits until the other side is up, and checks its version.
  ///
  /// - Parameters:
  ///   - wire: Carries the requests.
  ///   - secret: Secret of the process isolation, if there is one.
  ///   - report: Hears, once, that nobody answers yet.
  ///   - pause: Waits.
  /// - Returns: The interface, ready for calls.
  /// - Throws: ``ApusError`` `.unsupported` for a version that was not tested, `.invalidConfig` if
  ///   the two sides disagree about TLS.
  static func connect(
    _ wire: any RuntimeWire, secret: Data?, report: @Sendable (String) -> Void = { _ in },
    pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) async throws -> RuntimeAPI {
    var hasReported = false
    var closings = 0
    while true {
      do {
        let answer = try await wire.send(WireRequest(path: "/openapi.json"))
        guard !RuntimeRefusal.passing.contains(answer.status) else {
          throw WireFailure.unreachable(
            RuntimeRefusal(answer, call: "start", address: wire.address))
        }
        let version = try FlowerVersion(openAPI: answer.body, address: wire.address)
        return RuntimeAPI(
          wire: wire, version: version, signature: secret.map { TaskSignature(secret: $0) },
          pause: pause)
      } catch WireFailure.untrusted(let cause) {
        throw untrusted(wire, cause)
      } catch WireFailure.unreachable(let cause) {
        // A server that is just ending closes connections, too, but not time after time.
        closings = (cause as? HTTPClientError) == .remoteConnectionClosed ? closings + 1 : 0
        guard closings < closingsOfTLS else { throw plain(wire, cause) }
        if !hasReported { report("\(wire.address): nobody answers yet; waiting") }
        hasReported = true
        try await pause(.seconds(1))
      }
    }
  }

  private static func untrusted(_ wire: any RuntimeWire, _ cause: any Error) -> ApusError {
    ApusError(
      .invalidConfig, at: wire.address, "the TLS handshake failed (\(cause))",
      remedy: "Give the authority of its certificate with --root-certificates, by a name that the "
        + "certificate holds; leave it out if the other side speaks plain HTTP", cause: cause)
  }

  private static func plain(_ wire: any RuntimeWire, _ cause: any Error) -> ApusError {
    ApusError(
      .invalidConfig, at: wire.address, "the connection was closed without an answer",
      remedy: "If the other side uses TLS, give --root-certificates", cause: cause)
  }

  /// Asks for work.
  ///
  /// - Parameter type: Such as `flwr-clientapp`.
  /// - Returns: A task and the token that all of its calls need; nil if there is nothing to do.
  /// - Throws: ``ApusError``; see ``call(_:_:_:token:once:)``.
  func acquireTask(_ type: String) async throws -> (task: Flwr_Proto_Task, token: String)? {
    var request = Flwr_Proto_AcquireTaskRequest()
    request.supportedTaskTypes = [type]
    let answer = try await call(
      "acquire-task", request, Flwr_Proto_AcquireTaskResponse.self, once: true)
    return answer.token.isEmpty ? nil : (answer.task, answer.token)
  }

  /// One call.
  ///
  /// - Parameters:
  ///   - name: Last part of the path.
  ///   - request: What is asked.
  ///   - answer: Type of the answer.
  ///   - token: The task's token; nil to ask for a task.
  ///   - once: Whether repeating the call would lose something.
  ///   - attempts: How often to try if nobody answers, or the server is out of reach for now; as
  ///     often as it takes by default.
  /// - Returns: The answer.
  /// - Throws: ``RuntimeRefusal`` if the other side answers with an error; ``ApusError`` `.runState`
  ///   if the answer makes no sense, or if none came to a call that may not be repeated again.
  func call<Answer: SwiftProtobuf.Message>(
    _ name: String, _ request: some SwiftProtobuf.Message, _ answer: Answer.Type,
    token: String? = nil, once: Bool = false, attempts: Int = .max
  ) async throws -> Answer {
    let body: Data = try request.serializedBytes()
    var (delay, attempt) = (1.0, 1)
    while true {
      var wireRequest = WireRequest(path: Self.prefix + name, body: body)
      wireRequest.headers = version.headers
      wireRequest.needsFreshConnection = once
      if let token {
        wireRequest.headers.append(("flwr-task-token", token))
      } else if let signature {
        wireRequest.headers += signature.headers(for: body)
      }
      do {
        let reply = try await wire.send(wireRequest)
        if reply.status == 200 { return try decoded(reply.body, name) }
        let refusal = RuntimeRefusal(reply, call: name, address: wire.address)
        guard refusal.isPassing else { throw refusal }
        // The call may have arrived, and its answer got lost on the way through a proxy.
        guard !once, attempt < attempts else { throw refusal.error }
      } catch WireFailure.untrusted(let cause) {
        throw Self.untrusted(wire, cause)
      } catch WireFailure.unreachable(let cause) {
        guard !once, attempt < attempts else {
          throw ApusError(
            .runState, at: wire.address, "\(name) got no answer (\(cause))",
            remedy: "See whether Flower still runs there", cause: cause)
        }
      }
      try await pause(.seconds(delay))
      (delay, attempt) = (min(2 * delay, Self.longestPause), attempt + 1)
    }
  }

  private func decoded<Answer: SwiftProtobuf.Message>(
    _ body: Data, _ name: String
  ) throws(ApusError) -> Answer {
    do { return try Answer(serializedBytes: body) } catch {
      throw ApusError(
        .runState, at: wire.address, "the answer to \(name) makes no sense",
        remedy: "See Flower's own log, and what stands between the two machines", cause: error)
    }
  }
}

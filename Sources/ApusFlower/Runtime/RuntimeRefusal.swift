import ApusBase
import Foundation

/// Flower answered with an error.
struct RuntimeRefusal: Error, CustomStringConvertible {
  /// The HTTP status.
  let status: Int
  /// Flower's own code; 0 if it gave none.
  let code: Int
  /// What Flower said.
  let detail: String
  let call: String
  let address: String

  init(_ answer: WireAnswer, call: String, address: String) {
    let json = try? JSONNode(parsing: answer.body, file: address)
    status = answer.status
    code = (try? json?["code"].int()) ?? 0
    detail =
      ((try? json?["detail"].string()) ?? String(decoding: answer.body.prefix(200), as: UTF8.self))
      .asPeerText
    self.call = call
    self.address = address
  }

  /// What is answered while the server behind the address is out of reach for now.
  static let passing = [502, 503, 504]
  var isPassing: Bool { Self.passing.contains(status) }

  /// Whether the task's token is dead: the run was stopped, or the SuperLink forgot it.
  var endsTask: Bool { status == 401 || status == 403 }

  var description: String { "\(call): HTTP \(status), code \(code): \(detail)" }

  /// The refusal in words for people.
  var error: ApusError {
    switch (status, call) {
    case (401, "acquire-task"):
      ApusError(
        .invalidConfig, at: address, "Flower refuses to hand out tasks (\(detail))",
        remedy: "Give the same file as its --superexec-auth-secret-file, with --secret-file",
        cause: self)
    case (401, _), (403, _):
      ApusError(
        .runState, at: address, "Flower does not know the task any more (\(detail))",
        remedy: "See whether the run was stopped or the SuperLink restarted; then resume",
        cause: self)
    case (412, _) where code == 1001:
      ApusError(
        .unsupported, at: address, "Flower refuses this version (\(detail))",
        remedy: "Use one version of flwr on all machines", cause: self)
    default:
      ApusError(
        .runState, at: address, "Flower refused \(call): HTTP \(status), \(detail)",
        remedy: "See Flower's own log", cause: self)
    }
  }
}

extension ApusError {
  /// Whether Flower was only out of reach for now when it refused a call.
  var isPassingRefusal: Bool { (cause as? RuntimeRefusal)?.isPassing ?? false }
}

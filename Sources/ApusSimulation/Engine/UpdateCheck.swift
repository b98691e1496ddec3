import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// Looks at an update before the server half does.
struct UpdateCheck {
  let client: FederationClient
  let round: Round

  /// Where errors of this update are.
  var place: String { "round \(round.index), \(client.id)" }

  /// Reads an update.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if it is none, `.nonFinite` if it holds NaN or
  ///   infinity, `.silentFailure` if it was trained on no rows.
  func decoded(_ bytes: Data) throws(ApusError) -> Message {
    let update = try Message(encoded: bytes, at: place)
    if let name = update.tensors.firstNonFinite {
      throw ApusError(
        .nonFinite, at: "\(place), \(name)", "the update holds NaN or infinity",
        remedy: "Lower the learning rate or set clip-norm")
    }
    guard update.sampleCount ?? client.sampleCount > 0 else { throw withoutRows }
    return update
  }

  /// A client without training rows has nothing to say.
  var withoutRows: ApusError {
    ApusError(
      .silentFailure, at: place, "the client has no training rows",
      remedy: "Give every client data, or leave it out of the federation")
  }

  /// A suspicion, if training seems to have moved nothing.
  ///
  /// - Parameters:
  ///   - update: What came up.
  ///   - sent: The tensors that had gone down.
  /// - Returns: An event to be noted; the update counts nevertheless.
  func suspicion(of update: Message, sent: NamedTensors) -> RunEvent? {
    guard !update.tensors.isEmpty else { return nil }
    if update.tensors.allSatisfy({ !$0.tensor.anyTrue }) {
      return event("the update holds nothing but zeros")
    }
    let isUnmoved = update.tensors.allSatisfy { name, tensor in
      sent[name].map { tensor.isIdentical(to: $0) } ?? false
    }
    return isUnmoved ? event("the update is the brief itself; training moved nothing") : nil
  }

  private func event(_ text: String) -> RunEvent {
    RunEvent(round: round.index, client: client.id.name, kind: .silentFailure, text: text)
  }
}

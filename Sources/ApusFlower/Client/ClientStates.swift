import ApusBase
import ApusSimulation
import Crypto
import Foundation

/// What clients keep between rounds, in files on their own machine.
///
/// The server never sees a state. It gets a *receipt*, a hash, keeps it with the round that it
/// commits, and names it again when the client's next turn comes. So a server that goes on from
/// round 3 finds the client as it was after round 3, whatever the client has done since: the
/// state of a receipt is dropped only when a later one has come back.
struct ClientStates: Sendable {
  /// Of one client in one experiment.
  let folder: URL

  private static let mark = "apus state "
  private static let latest = "latest"

  init(_ root: URL, experiment: String, client: Int) {
    folder = root.appending(path: experiment).appending(path: "client-\(client)")
  }

  /// The state of a receipt.
  ///
  /// - Parameters:
  ///   - receipt: As ``keep(_:)`` made it; nil before the client's first round.
  ///   - settles: Whether the server has committed to it, so that all others may go.
  /// - Returns: The state; nil without a receipt.
  /// - Throws: ``ApusError`` `.runState` if the state is gone or damaged.
  func state(of receipt: Data?, settles: Bool) throws(ApusError) -> Data? {
    guard let receipt else {
      if settles { forgetAll(but: nil) }
      return nil
    }
    let text = String(decoding: receipt, as: UTF8.self)
    let name = String(text.dropFirst(Self.mark.count))
    guard text.hasPrefix(Self.mark), name.count == 64, name.allSatisfy(\.isHexDigit) else {
      throw ApusError(
        .invalidMessage, at: folder.path, "the server names a state that is none",
        remedy: "Use one version of Apus on both sides")
    }
    guard let state = try? Data(contentsOf: folder.appending(path: name)),
      SHA256.hash(data: state).hexadecimal == name
    else {
      throw ApusError(
        .runState, at: folder.path, "the client's state \(name.prefix(12))… is gone or damaged",
        remedy: "Restore the folder, or begin a new run")
    }
    if settles { forgetAll(but: name) }
    return state
  }

  /// Keeps a state.
  ///
  /// - Returns: Its receipt.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be written.
  func keep(_ state: Data) throws(ApusError) -> Data {
    try DurableFile.makeFolder(folder)
    let name = SHA256.hash(data: state).hexadecimal
    try DurableFile.write(state, to: folder.appending(path: name))
    return Data((Self.mark + name).utf8)
  }

  /// The receipt of the latest state, for servers that keep no receipts.
  var latestReceipt: Data? { try? Data(contentsOf: folder.appending(path: Self.latest)) }

  /// Writes down which receipt is the latest.
  func setLatest(_ receipt: Data) throws(ApusError) {
    try DurableFile.write(receipt, to: folder.appending(path: Self.latest))
  }

  private func forgetAll(but name: String?) {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for file in files where file != name && file != Self.latest {
      try? FileManager.default.removeItem(at: folder.appending(path: file))
    }
  }
}

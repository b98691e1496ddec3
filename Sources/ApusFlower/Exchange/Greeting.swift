import ApusBase
import ApusCore
import Crypto
import Foundation

/// How the server finds out which client is behind a node, and that both run one experiment.
///
/// The server tells its settings; the client compares, names the first that differs, and tells
/// only its place, its name and its number of rows. Paths stay on their machines, either way: what
/// clients have to agree on in a file is compared by its contents, as a ``FlowerSite`` has them.
struct Greeting: Sendable {
  /// Flower's type of the message.
  static let messageType = "query.apus"
  private static let key = "apus-greeting"

  /// Settings that may differ between machines: where files are, and what the server alone reads.
  private static let local = [
    "data.train", "data.test", "model.checkpoint", "data.bad-rows",
    "federation.sampling.cohort-file",
  ]
  private static let localSection = "data.public-rows."

  let settings: [String: String]
  let seed: UInt64

  /// Settings that all machines have in common, in order of the keys.
  private var common: [(key: String, value: String)] {
    settings.sorted { $0.key < $1.key }.filter { !Self.isLocal($0.key) }
  }

  private static func isLocal(_ key: String) -> Bool {
    local.contains(key) || key.hasPrefix(localSection)
  }

  /// As the server sends it.
  var content: FlowerContent {
    let values = common.map { (name: $0.key, value: FieldValue.string($0.value)) }
    return FlowerContent([
      (Self.key, .config([("seed", .string("\(seed)"))])), ("settings", .config(values)),
    ])
  }

  /// One name for all that decides the bits of what a client does in a run.
  var fingerprint: String {
    var hash = SHA256()
    for (key, value) in common { hash.update(data: Data("\(key)=\(value)\n".utf8)) }
    hash.update(data: Data("\(seed)".utf8))
    return String(hash.finalize().hexadecimal.prefix(16))
  }

  init(settings: [String: String], seed: UInt64) {
    self.settings = settings
    self.seed = seed
  }

  /// The greeting in a message; nil if the message is none.
  init?(_ content: FlowerContent) {
    guard case .config(let head)? = content.records.first(where: { $0.name == Self.key })?.record,
      let seed = head.first?.value.string.flatMap({ UInt64($0) }),
      case .config(let values)? = content.records.first(where: { $0.name == "settings" })?.record
    else { return nil }
    self.seed = seed
    settings = Dictionary(
      values.compactMap { name, value in value.string.map { (name, $0) } }
    ) { first, _ in first }
  }

  /// Compares the server's settings with those of this machine.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig`, naming the first key that differs.
  func requireSame(as own: Greeting) throws(ApusError) {
    let keys = Set((common + own.common).map(\.key)).sorted()
    for key in keys where settings[key] != own.settings[key] {
      throw ApusError(
        .invalidConfig, at: key,
        "the server has \(settings[key] ?? "no value"), this client \(own.settings[key] ?? "none")",
        remedy: "Give the server and all clients the same experiment file")
    }
    guard seed == own.seed else {
      throw ApusError(
        .invalidConfig, at: "seed", "the server has \(seed), this client \(own.seed)",
        remedy: "Give the server and all clients the same experiment file")
    }
  }
}

/// A client's answer to the greeting.
struct Introduction: Sendable {
  let index: Int
  let name: String
  let sampleCount: Int

  private static let key = "apus-introduction"

  init(index: Int, name: String, sampleCount: Int) {
    self.index = index
    self.name = name
    self.sampleCount = sampleCount
  }

  /// Reads an answer.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if the message is none.
  init(_ content: FlowerContent) throws(ApusError) {
    let values = content.config
    guard content.records.contains(where: { $0.name == Self.key }),
      let index = values["partition-id"]?.int, let rows = values["num-examples"]?.double
    else {
      throw ApusError(
        .invalidMessage, at: "greeting", "the node did not introduce itself",
        remedy: "Run \"apus flower client\" behind it, or give the server --clients arrays")
    }
    self.init(
      index: index, name: (values["name"]?.string ?? "client \(index)").asPeerText,
      sampleCount: try PeerNumber.count(rows, at: "greeting, num-examples"))
  }

  var content: FlowerContent {
    FlowerContent([
      (
        Self.key,
        .config([
          ("partition-id", .int(index)), ("name", .string(name)),
          ("num-examples", .int(sampleCount)),
        ])
      )
    ])
  }
}

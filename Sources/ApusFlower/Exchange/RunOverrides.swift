import ApusBase
import Foundation

/// What `flwr run --run-config` says, as settings of an experiment.
///
/// Keys under `apus.` are settings by their dotted names, such as `apus.training.learning-rate`; a
/// few that every Flower app has are understood as they are. Others belong to other apps.
enum RunOverrides {
  private static let known = [
    "num-server-rounds": "federation.rounds", "local-epochs": "training.local-epochs",
    "batch-size": "training.batch-size", "learning-rate": "training.learning-rate",
  ]

  /// What a client reads, and from where, is decided on its own machine.
  private static let reserved = ["data", "model", "folder"]

  /// Makes sure that a run does not decide which files of this machine are read, and how.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` for the first setting that it has no say in.
  static func requireLocal(_ values: [String: Flwr_Proto_Scalar]) throws(ApusError) {
    for key in values.keys.sorted() where reserved.contains(section(of: key)) {
      throw ApusError(
        .invalidConfig, at: "--run-config, \(key)",
        "a run cannot set what the clients' machines read",
        remedy: "Set it in the experiment file of every machine")
    }
  }

  /// The section of the experiment that a key sets something of, in the spelling that files have;
  /// empty if it is none of ours.
  ///
  /// A key may name a whole section, or bring a value of its own behind an equals sign.
  private static func section(of key: String) -> String {
    guard key.hasPrefix("apus.") else { return "" }
    return Spelling.kebab(String(key.dropFirst(5).prefix { $0 != "." && $0 != "=" }))
  }

  /// Assignments such as `federation.rounds=3`, in order of the keys.
  static func assignments(_ values: [String: Flwr_Proto_Scalar]) -> [String] {
    values.sorted { $0.key < $1.key }.compactMap { key, value in
      let own = key.hasPrefix("apus.") ? String(key.dropFirst(5)) : known[key]
      guard let own, let text = value.text else { return nil }
      return "\(own)=\(text)"
    }
  }
}

extension Flwr_Proto_Scalar {
  /// The value as an experiment file would write it.
  var text: String? {
    switch scalar {
    case .double(let value): "\(value)"
    case .uint64(let value): "\(value)"
    case .sint64(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .string(let value): value
    default: nil
    }
  }
}

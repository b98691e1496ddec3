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

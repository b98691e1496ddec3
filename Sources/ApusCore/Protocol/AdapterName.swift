internal import ApusTorch

/// Of which set of adapters a tensor is a part, told by its name.
///
/// Tensors of the standard set, which every method has, are named as in Hugging Face files; those of
/// another one have its name and "/" before that: `local/base_model.model.….lora_A.weight`.
public enum AdapterName {
  /// The set that the experiment configures.
  public static let standard = "default"

  /// Name of the set that a tensor belongs to; nil for a tensor that is in no adapter.
  public static func of(_ tensor: String) -> String? {
    if let slash = tensor.firstIndex(of: "/") { return String(tensor[..<slash]) }
    let isAdapter = tensor.split(separator: ".").contains {
      $0.hasPrefix("lora_") || $0.hasPrefix("vera_")
    }
    return isAdapter ? standard : nil
  }

  /// The name that a tensor of the standard set has in the set called `name`.
  public static func tensor(_ tensor: String, in name: String) -> String {
    name == standard ? tensor : "\(name)/\(tensor)"
  }
}

extension NamedTensors {
  /// Only the tensors of the set of this name.
  public func ofAdapter(_ name: String) -> NamedTensors {
    filtered { AdapterName.of($0) == name }
  }

  /// Without the sets of these names.
  public func withoutAdapters(_ names: [String]) -> NamedTensors {
    filtered { tensor in AdapterName.of(tensor).map { !names.contains($0) } ?? true }
  }

  /// The tensors of the standard set under the names that they have in another one.
  public func renamed(toAdapter name: String) -> NamedTensors {
    var renamed: [String: Tensor] = [:]
    for (key, tensor) in ofAdapter(AdapterName.standard) {
      renamed[AdapterName.tensor(key, in: name)] = tensor
    }
    return NamedTensors(renamed)
  }
}

extension NamedTensors {
  /// The tensors of a further set under the names that they have in the standard one.
  public func renamed(fromAdapter name: String) -> NamedTensors {
    var renamed: [String: Tensor] = [:]
    for (key, tensor) in ofAdapter(name) {
      renamed[key.removing(prefix: "\(name)/") ?? key] = tensor
    }
    return NamedTensors(renamed)
  }
}

extension FactorPair {
  /// The pair of the same site in the set of this name.
  public func inAdapter(_ name: String) -> FactorPair {
    FactorPair(
      site: site, a: AdapterName.tensor(a, in: name), b: AdapterName.tensor(b, in: name),
      scaling: scaling)
  }
}

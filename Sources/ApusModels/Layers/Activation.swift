internal import ApusBase
internal import ApusTorch

/// An activation function, by the name that `config.json` gives it.
enum Activation: Sendable {
  case gelu
  case geluTanh
  case relu
  case silu
  case tanh

  private static let byName: [String: Activation] = [
    "gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "relu": .relu,
    "silu": .silu, "swish": .silu, "tanh": .tanh,
  ]

  /// Reads the name of an activation function.
  ///
  /// - Throws: ``ApusError`` `.unsupported` that lists the known names.
  init(_ node: JSONNode, default fallback: String) throws(ApusError) {
    try self.init(named: node.exists ? try node.string() : fallback, at: node.place)
  }

  /// The function of this name; throws `.unsupported` that lists the known names.
  init(named name: String, at place: String) throws(ApusError) {
    guard let known = Self.byName[name] else {
      throw ApusError(
        .unsupported, at: place, "there is no activation function \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: Self.byName.keys.sorted()))
    }
    self = known
  }

  /// Elementwise.
  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .gelu: ApusTorch.gelu(x)
    case .geluTanh: ApusTorch.gelu(x, tanhApproximation: true)
    case .relu: ApusTorch.relu(x)
    case .silu: ApusTorch.silu(x)
    case .tanh: ApusTorch.tanh(x)
    }
  }
}

internal import ApusBase
internal import ApusCore

/// Mistral: LLaMA's blocks with grouped queries and a window in every block.
///
/// - Source: Jiang et al., arXiv 2310.06825; transformers, `models/mistral/modeling_mistral.py`.
enum Mistral {
  static let architecture = ModelCatalog.Architecture(
    decoder: "mistral", prefix: "model", classPrefix: "Mistral",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["k_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(mistral: config))
  }
}

extension RotaryDecoderConfig {
  /// Reads the fields; a null window means none, a missing one the first release's.
  fileprivate init(mistral config: JSONNode) throws(ApusError) {
    try self.init(config, defaults: Defaults(num_key_value_heads: 8))
    let window = config["sliding_window"]
    let size = try window.window(default: window.isStated ? nil : 4_096)
    windows = Array(repeating: size, count: num_hidden_layers)
  }
}

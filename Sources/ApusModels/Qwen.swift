internal import ApusBase
internal import ApusCore

/// Qwen 2 and 2.5: LLaMA's blocks with biases at query, key and value.
///
/// - Source: Yang et al., arXiv 2407.10671; transformers, `models/qwen2/modeling_qwen2.py`.
enum Qwen2 {
  static let architecture = ModelCatalog.Architecture(
    decoder: "qwen2", prefix: "model", classPrefix: "Qwen2",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["q_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(qwen2: config))
  }
}

/// Qwen 3: without those biases, queries and keys normalized head by head.
///
/// - Source: Yang et al., arXiv 2505.09388; transformers, `models/qwen3/modeling_qwen3.py`.
enum Qwen3 {
  static let architecture = ModelCatalog.Architecture(
    decoder: "qwen3", prefix: "model", classPrefix: "Qwen3",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["q_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(qwen3: config))
  }
}

extension RotaryDecoderConfig {
  fileprivate init(qwen2 config: JSONNode) throws(ApusError) {
    try self.init(config, defaults: Defaults(num_key_value_heads: 32))
    attention_bias = (inputs: true, output: false)
    try readQwenWindows(config)
  }

  fileprivate init(qwen3 config: JSONNode) throws(ApusError) {
    try self.init(config, defaults: Defaults(num_key_value_heads: 32, head_dim: 128))
    let bias = try config["attention_bias"].flag(default: false)
    attention_bias = (inputs: bias, output: bias)
    hasHeadNorms = true
    try readQwenWindows(config)
  }

  /// The blocks from `max_window_layers` on have a window, if it is switched on.
  private mutating func readQwenWindows(_ config: JSONNode) throws(ApusError) {
    let isUsed = try config["use_sliding_window"].flag(default: false)
    let window = config["sliding_window"]
    let size = try window.window(default: window.isStated ? nil : 4_096)
    let first = try config["max_window_layers"].size(from: 0, upTo: 1_000_000, default: 28)
    try readWindows(config, window: isUsed ? size : nil) { $0 >= first }
  }
}

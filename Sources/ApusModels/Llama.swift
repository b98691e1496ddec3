internal import ApusBase
internal import ApusCore

/// LLaMA 1, 2 and 3, and what is configured like them: TinyLlama, MobileLLaMA and others.
///
/// - Source: Touvron et al., arXiv 2302.13971 and 2307.09288; transformers,
///   `models/llama/modeling_llama.py`.
enum Llama {
  static let architecture = ModelCatalog.Architecture(
    decoder: "llama", prefix: "model", classPrefix: "Llama",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["k_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(llama: config))
  }
}

extension RotaryDecoderConfig {
  /// Reads the fields; biases are switches.
  fileprivate init(llama config: JSONNode) throws(ApusError) {
    try self.init(config)
    let bias = try config["attention_bias"].flag(default: false)
    attention_bias = (inputs: bias, output: bias)
    mlp_bias = try config["mlp_bias"].flag(default: false)
  }
}

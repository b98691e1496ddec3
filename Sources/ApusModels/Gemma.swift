internal import ApusBase
internal import ApusCore

/// Gemma: LLaMA's blocks with scaled embeddings and norms whose weights are added to one.
///
/// - Source: Gemma Team, arXiv 2403.08295; transformers, `models/gemma/modeling_gemma.py`.
enum Gemma {
  static let architecture = ModelCatalog.Architecture(
    decoder: "gemma", prefix: "model", classPrefix: "Gemma",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["q_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(gemma: config))
  }
}

/// Gemma 2: also norms at the ends of branches, soft caps, and a window in every other block.
///
/// - Source: Gemma Team, arXiv 2408.00118; transformers, `models/gemma2/modeling_gemma2.py`.
enum Gemma2 {
  static let architecture = ModelCatalog.Architecture(
    decoder: "gemma2", prefix: "model", classPrefix: "Gemma2",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["q_proj", "v_proj", "down_proj"],
    ia3FeedForward: ["down_proj"]
  ) { (config) throws(ApusError) in
    RotaryDecoder(try RotaryDecoderConfig(gemma2: config))
  }
}

extension RotaryDecoderConfig {
  /// Reads the fields; the first files say "gelu" and mean its approximation.
  fileprivate init(gemma config: JSONNode) throws(ApusError) {
    try self.init(gemmas: config, keyHeads: 16)
    if case .gelu = hidden_act { hidden_act = .geluTanh }
  }

  fileprivate init(gemma2 config: JSONNode) throws(ApusError) {
    try self.init(gemmas: config, keyHeads: 4)
    hidden_act = try Activation(config["hidden_activation"], default: "gelu_pytorch_tanh")
    hasBranchNorms = true
    let window = config["sliding_window"]
    let size = try window.window(default: window.isStated ? nil : 4_096)
    try readWindows(config, window: size) { $0.isMultiple(of: 2) }
    attentionScale =
      1 / (try config["query_pre_attn_scalar"].number(in: 1e-6...1e9, default: 256).squareRoot())
    let (scores, logits) = (config["attn_logit_softcapping"], config["final_logit_softcapping"])
    attn_logit_softcapping = scores.isStated ? try scores.cap() : 50
    final_logit_softcapping = logits.isStated ? try logits.cap() : 30
  }

  private init(gemmas config: JSONNode, keyHeads: Int) throws(ApusError) {
    try self.init(
      config,
      defaults: Defaults(
        num_key_value_heads: keyHeads, head_dim: 256, tie_word_embeddings: true,
        pad_token_id: 0, hidden_act: "gelu_pytorch_tanh"))
    let bias = try config["attention_bias"].flag(default: false)
    attention_bias = (inputs: bias, output: bias)
    normOffset = 1
    embeddingScale = Double(hidden_size).squareRoot()
  }
}

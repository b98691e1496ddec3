internal import ApusBase

/// What `config.json` says of LLaMA and of what is built like it; fields have their names there.
struct RotaryDecoderConfig: Sendable {
  let vocab_size: Int
  let hidden_size: Int
  let intermediate_size: Int
  let num_hidden_layers: Int
  let num_attention_heads: Int
  let num_key_value_heads: Int
  let head_dim: Int
  let rms_norm_eps: Double
  let attention_dropout: Double
  let pad_token_id: Int?
  let tie_word_embeddings: Bool
  let rotary: RotaryEmbedding
  var hidden_act: Activation
  /// Whether query, key and value have biases, and whether the output projection has one.
  var attention_bias = (inputs: false, output: false)
  var mlp_bias = false
  /// Tokens that each block looks back at; nil for all.
  var windows: [Int?]
  /// Norms of queries and keys, head by head, before they are turned.
  var hasHeadNorms = false
  /// Norms at the end of both branches, before the sum.
  var hasBranchNorms = false
  /// What is added to the weights of the norms.
  var normOffset = 0.0
  /// Embeddings are multiplied by this.
  var embeddingScale = 1.0
  /// Scores are multiplied by this.
  var attentionScale: Double
  /// Soft caps of scores and of logits.
  var attn_logit_softcapping: Double?
  var final_logit_softcapping: Double?

  /// What transformers assumes of fields that `config.json` leaves out; as given here for LLaMA.
  struct Defaults {
    var num_key_value_heads: Int?
    var head_dim: Int?
    var tie_word_embeddings = false
    var pad_token_id: Int?
    var hidden_act = "silu"
  }

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not implement.
  init(_ config: JSONNode, defaults: Defaults = Defaults()) throws(ApusError) {
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    hidden_size = try config["hidden_size"].size(upTo: 1_000_000)
    intermediate_size = try config["intermediate_size"].size(upTo: 10_000_000)
    num_hidden_layers = try config["num_hidden_layers"].size(upTo: 1_000)
    num_attention_heads = try config["num_attention_heads"].size(upTo: 10_000)
    num_key_value_heads = try config["num_key_value_heads"].size(
      upTo: num_attention_heads, default: defaults.num_key_value_heads ?? num_attention_heads)
    let stated = config["head_dim"].exists || defaults.head_dim != nil
    if !stated { try config["hidden_size"].requireSplit(hidden_size, into: num_attention_heads) }
    head_dim = try config["head_dim"].size(
      upTo: 100_000, default: defaults.head_dim ?? hidden_size / num_attention_heads)
    guard num_attention_heads.isMultiple(of: num_key_value_heads) else {
      throw config["num_key_value_heads"].error(
        "\(num_attention_heads) heads cannot share \(num_key_value_heads) key heads equally",
        remedy: "Take config.json and weights from one revision of the checkpoint")
    }
    rms_norm_eps = try config["rms_norm_eps"].number(in: 0...1, default: 1e-6)
    attention_dropout = try config["attention_dropout"].probability(default: 0)
    pad_token_id =
      config["pad_token_id"].exists ? try config["pad_token_id"].int() : defaults.pad_token_id
    tie_word_embeddings = try config["tie_word_embeddings"]
      .flag(default: defaults.tie_word_embeddings)
    rotary = try RotaryEmbedding(config, headSize: head_dim)
    hidden_act = try Activation(config["hidden_act"], default: defaults.hidden_act)
    windows = Array(repeating: nil, count: num_hidden_layers)
    attentionScale = 1 / Double(head_dim).squareRoot()
    try config["use_bidirectional_attention"].requireOff(
      "attention to later tokens is not supported", "a causal decoder")
  }

  /// The windows of blocks whose kinds `layer_types` lists, or that `isSliding` tells apart.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for another kind, `.invalidFile` for a list of another
  ///   length.
  mutating func readWindows(
    _ config: JSONNode, window: Int?, isSliding: (Int) -> Bool
  ) throws(ApusError) {
    let kinds = config["layer_types"]
    guard kinds.exists else {
      windows = windows.indices.map { isSliding($0) ? window : nil }
      return
    }
    let listed = try kinds.array()
    guard listed.count == num_hidden_layers else {
      throw kinds.error(
        "\(listed.count) kinds of blocks for \(num_hidden_layers) blocks",
        remedy: "Take config.json from the checkpoint's source")
    }
    for (index, kind) in listed.enumerated() {
      switch try kind.string() {
      case "full_attention": windows[index] = nil
      case "sliding_attention": windows[index] = window
      case let other:
        throw ApusError(
          .unsupported, at: kind.place, "there is no kind of block \"\(other)\"",
          remedy: Spelling.remedy(for: other, allowed: ["full_attention", "sliding_attention"]))
      }
    }
  }
}

extension JSONNode {
  /// A number of tokens, nil for null, or the default if the field is missing.
  func window(default fallback: Int? = nil) throws(ApusError) -> Int? {
    exists ? try size(upTo: .max) : fallback
  }

  /// A bound above zero; nil for null and where the field is missing.
  func cap() throws(ApusError) -> Double? {
    exists ? try number(in: 1e-6...1e9, default: 1) : nil
  }
}

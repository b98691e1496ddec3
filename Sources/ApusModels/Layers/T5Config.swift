internal import ApusBase
internal import ApusCore

/// What `config.json` says of T5 and of what is built like it; fields have their names there.
struct T5Config: Sendable {
  let vocab_size: Int
  let d_model: Int
  let d_kv: Int
  let d_ff: Int
  let num_layers: Int
  let num_decoder_layers: Int
  let num_heads: Int
  let relative_attention_num_buckets: Int
  let relative_attention_max_distance: Int
  let dropout_rate: Double
  let layer_norm_epsilon: Double
  let decoder_start_token_id: Int
  /// Whether the feed-forward has a gate, as from version 1.1 on, and its activation function.
  let feedForward: (isGated: Bool, activation: Activation)
  /// Whether the decoder's rows are scaled before the output layer, as in version 1.0.
  let scale_decoder_outputs: Bool

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Parameters:
  ///   - config: The file.
  ///   - isMultilingual: Whether it is of mT5, which scales no output whatever the file says.
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for an
  ///   unknown feed-forward.
  init(_ config: JSONNode, isMultilingual: Bool = false) throws(ApusError) {
    let wide = 1_000_000
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    d_model = try config["d_model"].size(upTo: wide)
    d_kv = try config["d_kv"].size(upTo: wide)
    d_ff = try config["d_ff"].size(upTo: wide)
    num_layers = try config["num_layers"].size(upTo: 1_000)
    num_decoder_layers = try config["num_decoder_layers"].size(upTo: 1_000, default: num_layers)
    num_heads = try config["num_heads"].size(upTo: 10_000)
    relative_attention_num_buckets = try config["relative_attention_num_buckets"]
      .size(from: 4, upTo: wide, default: 32)
    relative_attention_max_distance = try config["relative_attention_max_distance"]
      .size(from: 2, upTo: 10_000_000, default: 128)
    dropout_rate = try config["dropout_rate"].probability(default: 0.1)
    layer_norm_epsilon = try config["layer_norm_epsilon"].number(in: 0...1, default: 1e-6)
    let padding = try config["pad_token_id"].size(from: 0, upTo: vocab_size - 1, default: 0)
    decoder_start_token_id = try config["decoder_start_token_id"]
      .size(from: 0, upTo: vocab_size - 1, default: padding)
    feedForward = try Self.feedForward(
      config["feed_forward_proj"], default: isMultilingual ? "gated-gelu" : "relu")
    let isTied = try config["tie_word_embeddings"].flag(default: true)
    let isScaled = try config["scale_decoder_outputs"].flag(default: isTied)
    scale_decoder_outputs = isScaled && !isMultilingual
    guard relative_attention_max_distance > relative_attention_num_buckets / 2 else {
      throw config["relative_attention_max_distance"].error(
        "\(relative_attention_num_buckets) buckets do not fit \(relative_attention_max_distance) "
          + "distances", remedy: "Take config.json from the checkpoint's source")
    }
  }

  /// A function's name, with or without `gated-` before it.
  private static func feedForward(
    _ node: JSONNode, default fallback: String
  ) throws(ApusError) -> (isGated: Bool, activation: Activation) {
    let name = node.exists ? try node.string() : fallback
    let isGated = name.hasPrefix("gated-")
    // The reference calls its tanh approximation so here.
    if name == "gated-gelu" { return (true, .geluTanh) }
    let function = isGated ? String(name.dropFirst("gated-".count)) : name
    return (isGated, try Activation(named: function, at: node.place))
  }

  /// The rows of tables of distances.
  func buckets(isBidirectional: Bool) -> RelativeBuckets {
    RelativeBuckets(
      relative_attention_num_buckets: relative_attention_num_buckets,
      relative_attention_max_distance: relative_attention_max_distance,
      isBidirectional: isBidirectional)
  }

  /// A norm of rows [T, D].
  func norm() -> RMSNorm { RMSNorm(d_model, epsilon: layer_norm_epsilon) }

  /// Acts on rows and shares.
  var dropout: Dropout { Dropout(dropout_rate) }
}

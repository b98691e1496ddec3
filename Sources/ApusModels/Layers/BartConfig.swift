internal import ApusBase

/// What `config.json` says of BART and of what is built like it; fields have their names there.
///
/// Whole layers are never dropped in training, whatever `encoder_layerdrop` says.
struct BartConfig: Sendable {
  let vocab_size: Int
  let d_model: Int
  let encoder_layers: Int
  let decoder_layers: Int
  let encoder_attention_heads: Int
  let decoder_attention_heads: Int
  let encoder_ffn_dim: Int
  let decoder_ffn_dim: Int
  /// Tokens of a source and of a target that have positions.
  let positions: (source: Int, target: Int)
  let dropout: Double
  let attention_dropout: Double
  let activation_dropout: Double
  let activation_function: Activation
  let scale_embedding: Bool
  let decoder_start_token_id: Int
  /// Rows of the tables of positions that belong to no token.
  let positionOffset: Int
  /// Whether norms stand at the beginnings of branches, with one more at the end of all blocks.
  let isPreNorm: Bool

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Parameters:
  ///   - config: The file.
  ///   - positionFields: Names of the fields with the tokens of a source and of a target.
  ///   - positionOffset: Rows of the tables of positions that belong to no token.
  ///   - isPreNorm: Whether norms stand at the beginnings of branches.
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for an
  ///   unknown activation function.
  init(
    _ config: JSONNode, positionFields: (source: String, target: String), positionOffset: Int,
    isPreNorm: Bool
  ) throws(ApusError) {
    let wide = 1_000_000
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    d_model = try config["d_model"].size(upTo: wide)
    encoder_layers = try config["encoder_layers"].size(upTo: 1_000)
    decoder_layers = try config["decoder_layers"].size(upTo: 1_000)
    encoder_attention_heads = try config["encoder_attention_heads"].size(upTo: 10_000)
    decoder_attention_heads = try config["decoder_attention_heads"].size(upTo: 10_000)
    encoder_ffn_dim = try config["encoder_ffn_dim"].size(upTo: wide)
    decoder_ffn_dim = try config["decoder_ffn_dim"].size(upTo: wide)
    positions = (
      try config[positionFields.source].size(upTo: 10_000_000),
      try config[positionFields.target].size(upTo: 10_000_000)
    )
    dropout = try config["dropout"].probability(default: 0.1)
    attention_dropout = try config["attention_dropout"].probability(default: 0)
    activation_dropout = try config["activation_dropout"].probability(default: 0)
    activation_function = try Activation(config["activation_function"], default: "gelu")
    scale_embedding = try config["scale_embedding"].flag(default: false)
    decoder_start_token_id = try config["decoder_start_token_id"]
      .size(from: 0, upTo: vocab_size - 1, default: 2)
    guard try config["tie_word_embeddings"].flag(default: true) else {
      throw ApusError(
        .unsupported, at: config["tie_word_embeddings"].place,
        "tables of the vocabulary that differ are not supported",
        remedy: "Give a checkpoint whose encoder and decoder share one")
    }
    self.positionOffset = positionOffset
    self.isPreNorm = isPreNorm
    try config["d_model"].requireSplit(d_model, into: encoder_attention_heads)
    try config["d_model"].requireSplit(d_model, into: decoder_attention_heads)
  }
}

internal import ApusBase

/// What `config.json` says of BERT and of what is built like it; fields have their names there.
struct EncoderConfig: Sendable {
  let vocab_size: Int
  let hidden_size: Int
  let num_hidden_layers: Int
  let num_attention_heads: Int
  let intermediate_size: Int
  let max_position_embeddings: Int
  let type_vocab_size: Int
  let layer_norm_eps: Double
  let hidden_dropout_prob: Double
  let attention_probs_dropout_prob: Double
  let hidden_act: Activation

  /// What transformers assumes of fields that `config.json` leaves out; as given here for BERT.
  struct Defaults {
    var type_vocab_size = 2
    var layer_norm_eps = 1e-12
    var dropout = 0.1
    var hidden_act = "gelu"
  }

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not implement.
  init(_ config: JSONNode, defaults: Defaults = Defaults()) throws(ApusError) {
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    hidden_size = try config["hidden_size"].size(upTo: 1_000_000)
    num_hidden_layers = try config["num_hidden_layers"].size(upTo: 1_000)
    num_attention_heads = try config["num_attention_heads"].size(upTo: 10_000)
    intermediate_size = try config["intermediate_size"].size(upTo: 1_000_000)
    max_position_embeddings = try config["max_position_embeddings"].size(upTo: 10_000_000)
    type_vocab_size = try config["type_vocab_size"]
      .size(from: 0, upTo: 1_000_000, default: defaults.type_vocab_size)
    layer_norm_eps = try config["layer_norm_eps"]
      .number(in: 0...1, default: defaults.layer_norm_eps)
    hidden_dropout_prob = try config["hidden_dropout_prob"].probability(default: defaults.dropout)
    attention_probs_dropout_prob = try config["attention_probs_dropout_prob"]
      .probability(default: defaults.dropout)
    hidden_act = try Activation(config["hidden_act"], default: defaults.hidden_act)
    try config["hidden_size"].requireSplit(hidden_size, into: num_attention_heads)
    try config["position_embedding_type"].require("absolute")
    for flag in ["is_decoder", "add_cross_attention"] {
      try config[flag].requireOff("only encoders are implemented", "an encoder")
    }
  }
}

extension JSONNode {
  /// A length of some axis, from `least` to `limit`.
  func size(
    from least: Int = 1, upTo limit: Int, default fallback: Int? = nil
  ) throws(ApusError) -> Int {
    if !exists, let fallback { return fallback }
    let value = try int()
    guard (least...limit).contains(value) else {
      throw error(
        "\(value) is not between \(least) and \(limit)",
        remedy: "Take config.json from the checkpoint's source")
    }
    return value
  }

  /// A number of the range, or the default if there is none.
  func number(in range: ClosedRange<Double>, default fallback: Double) throws(ApusError) -> Double {
    guard exists else { return fallback }
    let value = try double()
    guard range.contains(value) else {
      throw error(
        "\(value) is not between \(range.lowerBound) and \(range.upperBound)",
        remedy: "Take config.json from the checkpoint's source")
    }
    return value
  }

  /// A probability below 1, or the default if there is none.
  func probability(default fallback: Double) throws(ApusError) -> Double {
    try number(in: 0...0.999, default: fallback)
  }

  /// A switch, or the default if there is none.
  func flag(default fallback: Bool) throws(ApusError) -> Bool { exists ? try bool() : fallback }

  /// Refuses every value but the one that is implemented, which is also the default.
  func require(_ implemented: String) throws(ApusError) {
    guard exists else { return }
    let found = try string()
    guard found != implemented else { return }
    throw ApusError(
      .unsupported, at: place, "\"\(found)\" is not supported",
      remedy: "Give a checkpoint that uses \"\(implemented)\"")
  }

  /// Refuses a flag that switches on what is not supported.
  func requireOff(_ problem: String, _ remedy: String) throws(ApusError) {
    guard exists, try bool() else { return }
    throw ApusError(
      .unsupported, at: place, problem, remedy: "Give the checkpoint of \(remedy)")
  }

  /// Refuses a hidden size that attention heads cannot share equally.
  func requireSplit(_ size: Int, into heads: Int) throws(ApusError) {
    guard !size.isMultiple(of: heads) else { return }
    throw error(
      "\(size) does not split into \(heads) heads",
      remedy: "Take config.json and weights from one revision of the checkpoint")
  }
}

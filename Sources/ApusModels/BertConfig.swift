internal import ApusBase

/// What `config.json` says of a BERT; fields have their names there.
struct BertConfig: Sendable {
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

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant of BERT that this file does not implement.
  init(_ config: JSONNode) throws(ApusError) {
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    hidden_size = try config["hidden_size"].size(upTo: 1_000_000)
    num_hidden_layers = try config["num_hidden_layers"].size(upTo: 1_000)
    num_attention_heads = try config["num_attention_heads"].size(upTo: 10_000)
    intermediate_size = try config["intermediate_size"].size(upTo: 1_000_000)
    max_position_embeddings = try config["max_position_embeddings"].size(upTo: 10_000_000)
    type_vocab_size = try config["type_vocab_size"].size(upTo: 1_000_000, default: 2)
    layer_norm_eps = try config["layer_norm_eps"].number(in: 0...1, default: 1e-12)
    hidden_dropout_prob = try config["hidden_dropout_prob"].probability(default: 0.1)
    attention_probs_dropout_prob = try config["attention_probs_dropout_prob"]
      .probability(default: 0.1)
    hidden_act = try Activation(config["hidden_act"], default: "gelu")
    guard hidden_size.isMultiple(of: num_attention_heads) else {
      throw config["hidden_size"].error(
        "\(hidden_size) does not split into \(num_attention_heads) heads",
        remedy: "Take config.json and weights from one revision of the checkpoint")
    }
    try config["position_embedding_type"].require("absolute")
    for flag in ["is_decoder", "add_cross_attention"] where config[flag].exists {
      guard try config[flag].bool() else { continue }
      throw ApusError(
        .unsupported, at: config[flag].place, "BERT is implemented as an encoder only",
        remedy: "Give the checkpoint of an encoder")
    }
  }
}

extension JSONNode {
  /// A length of some axis, from 1 to `limit`.
  func size(upTo limit: Int, default fallback: Int? = nil) throws(ApusError) -> Int {
    if !exists, let fallback { return fallback }
    let value = try int()
    guard (1...limit).contains(value) else {
      throw error(
        "\(value) is not between 1 and \(limit)",
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

  /// Refuses every value but the one that is implemented, which is also the default.
  func require(_ implemented: String) throws(ApusError) {
    guard exists else { return }
    let found = try string()
    guard found != implemented else { return }
    throw ApusError(
      .unsupported, at: place, "\"\(found)\" is not implemented",
      remedy: "Give a checkpoint that uses \"\(implemented)\"")
  }
}

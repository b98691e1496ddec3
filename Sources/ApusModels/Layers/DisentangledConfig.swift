internal import ApusBase
internal import ApusTorch
internal import Foundation

/// What `config.json` says of a DeBERTa of any version; fields have their names there.
struct DisentangledConfig: Sendable {
  let base: EncoderConfig
  let embedding_size: Int
  let position_biased_input: Bool
  /// Terms of the scores besides content to content: `c2p`, `p2c`.
  let pos_att_type: Set<String>
  /// How distances are counted; nil without relative attention.
  let distances: DistanceBuckets?

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Parameters:
  ///   - config: The file.
  ///   - hasBuckets: Whether the version can count far distances in steps.
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not have.
  init(_ config: JSONNode, hasBuckets: Bool) throws(ApusError) {
    let defaults = EncoderConfig.Defaults(type_vocab_size: 0, layer_norm_eps: 1e-7)
    base = try EncoderConfig(config, defaults: defaults)
    embedding_size = try config["embedding_size"].size(upTo: 1_000_000, default: base.hidden_size)
    position_biased_input = try config["position_biased_input"].flag(default: true)
    pos_att_type = try Self.words(config["pos_att_type"]).intersection(["c2p", "p2c"])
    distances =
      try config["relative_attention"].flag(default: false)
      ? DistanceBuckets(
        config, positions: base.max_position_embeddings, hasBuckets: hasBuckets) : nil
    try Self.require(config["pooler_hidden_size"], base.hidden_size)
  }

  /// Refuses every value but one.
  static func require(_ node: JSONNode, _ supported: Int) throws(ApusError) {
    guard node.exists else { return }
    let found = try node.int()
    guard found != supported else { return }
    throw ApusError(
      .unsupported, at: node.place, "\(found) is not supported",
      remedy: "Give a checkpoint with \(supported) there")
  }

  /// The words of a list, or of a text that separates them by bars.
  static func words(_ node: JSONNode) throws(ApusError) -> Set<String> {
    guard node.exists else { return [] }
    if node.foundationValue is String {
      let parts = try node.string().lowercased().split(separator: "|")
      return Set(parts.map { $0.trimmingCharacters(in: .whitespaces) })
    }
    var words: Set<String> = []
    for word in try node.array() { words.insert(try word.string()) }
    return words
  }
}

/// The rows of a table that distances between query and key have: near ones a row each, far ones
/// in logarithmic steps if there are buckets.
struct DistanceBuckets: Sendable {
  /// S; the table has 2S rows, the middle of which belongs to distance 0.
  let span: Int
  private let position_buckets: Int
  private let max_relative_positions: Int

  /// Reads the fields; `positions` is the longest distance if none is given.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for numbers that leave no room for steps.
  init(_ config: JSONNode, positions: Int, hasBuckets: Bool) throws(ApusError) {
    let limit = 10_000_000
    let farthest = try config["max_relative_positions"].size(from: -1, upTo: limit, default: -1)
    max_relative_positions = farthest < 1 ? positions : farthest
    position_buckets =
      hasBuckets ? try config["position_buckets"].size(from: -1, upTo: limit, default: -1) : -1
    span = position_buckets > 0 ? position_buckets : max_relative_positions
    guard position_buckets > 0 else { return }
    guard position_buckets > 1, position_buckets / 2 < max_relative_positions - 1 else {
      throw config["position_buckets"].error(
        "\(position_buckets) buckets do not fit \(max_relative_positions) distances",
        remedy: "Take config.json from the checkpoint's source")
    }
  }

  /// The rows for all queries and keys of a length [L, L] int64.
  func rows(length: Int) -> Tensor {
    let buckets = (1 - length..<length).map { min(max(bucket($0) + span, 0), 2 * span - 1) }
    var rows: [Int] = []
    rows.reserveCapacity(length * length)
    for query in 0..<length {
      for key in 0..<length { rows.append(buckets[query - key + length - 1]) }
    }
    return Tensor(rows, shape: [length, length])
  }

  /// The distance, or its step, in float32 like the reference for the rounding up to agree.
  private func bucket(_ distance: Int) -> Int {
    let middle = position_buckets / 2
    guard position_buckets > 0, abs(distance) > middle else { return distance }
    let share =
      log(Float(abs(distance)) / Float(middle))
      / log(Float(Double(max_relative_positions - 1) / Double(middle)))
    let step = Int((share * Float(middle - 1)).rounded(.up)) + middle
    return distance < 0 ? -step : step
  }
}

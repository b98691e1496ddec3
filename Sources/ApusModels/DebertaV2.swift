internal import ApusBase
internal import ApusCore
internal import ApusTorch
internal import Foundation

/// DeBERTa v2 and v3: attention scores that also depend on the distance of query and key, by
/// embeddings of distances that all blocks share.
///
/// Scores have up to three terms: content to content, content to position (c2p) and position to
/// content (p2c). The convolution of the largest v2 checkpoints is not supported.
///
/// - Shapes: T rows (tokens of all examples), B examples, L longest, D hidden size, H heads,
///   d = D / H, S span of distances.
/// - Source: He et al., arXiv 2006.03654, eq. 4, and arXiv 2111.09543; transformers,
///   `models/deberta_v2/modeling_deberta_v2.py`.
final class DebertaV2: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: DebertaV2Encoder
  private let config: DebertaV2Config

  /// A model without weights yet.
  init(_ config: DebertaV2Config) {
    self.config = config
    embeddings = TextEmbeddings(
      config.base, size: config.embedding_size, hasPositions: config.position_biased_input,
      isProjected: true)
    encoder = DebertaV2Encoder(config)
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "deberta-v2", prefix: "deberta", classPrefix: "DebertaV2", hasPooler: false,
    defaultTargets: ["query_proj", "value_proj"],
    ia3Targets: ["key_proj", "value_proj", "output.dense"], ia3FeedForward: ["output.dense"],
    optionalParts: ["embeddings.position_embeddings."]
  ) { (config, _) throws(ApusError) in
    DebertaV2(try DebertaV2Config(config))
  } makeHead: { (config, size, labels) throws(ApusError) in
    try DebertaV2Head(config, size, labels)
  }

  var hiddenSize: Int { config.base.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    let types = config.base.type_vocab_size
    try batch.requireFit(
      ids: config.base.vocab_size, types: types > 0 ? types : nil,
      positions: config.base.max_position_embeddings)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }
}

/// What `config.json` says of a DeBERTa; fields have their names there.
struct DebertaV2Config: Sendable {
  let base: EncoderConfig
  let embedding_size: Int
  let position_biased_input: Bool
  let share_att_key: Bool
  /// Terms of the scores besides content to content: `c2p`, `p2c`.
  let pos_att_type: Set<String>
  let norm_rel_ebd: Bool
  /// How distances are counted; nil without relative attention.
  let distances: DistanceBuckets?

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not implement.
  init(_ config: JSONNode) throws(ApusError) {
    let defaults = EncoderConfig.Defaults(type_vocab_size: 0, layer_norm_eps: 1e-7)
    base = try EncoderConfig(config, defaults: defaults)
    embedding_size = try config["embedding_size"].size(upTo: 1_000_000, default: base.hidden_size)
    position_biased_input = try config["position_biased_input"].flag(default: true)
    share_att_key = try config["share_att_key"].flag(default: false)
    pos_att_type = try Self.words(config["pos_att_type"]).intersection(["c2p", "p2c"])
    norm_rel_ebd = try Self.words(config["norm_rel_ebd"]).contains("layer_norm")
    distances =
      try config["relative_attention"].flag(default: false)
      ? DistanceBuckets(config, positions: base.max_position_embeddings) : nil
    let (size, heads) = (base.hidden_size, base.num_attention_heads)
    for (field, value) in [
      ("conv_kernel_size", 0), ("attention_head_size", size / heads), ("pooler_hidden_size", size),
    ] where config[field].exists {
      let found = try config[field].int()
      guard found != value else { continue }
      throw ApusError(
        .unsupported, at: config[field].place, "\(found) is not supported",
        remedy: "Give a checkpoint with \(value) there, such as one of DeBERTa v3")
    }
  }

  /// The words of a list, or of a text that separates them by bars.
  private static func words(_ node: JSONNode) throws(ApusError) -> Set<String> {
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
  init(_ config: JSONNode, positions: Int) throws(ApusError) {
    let limit = 10_000_000
    let farthest = try config["max_relative_positions"].size(from: -1, upTo: limit, default: -1)
    max_relative_positions = farthest < 1 ? positions : farthest
    position_buckets = try config["position_buckets"].size(from: -1, upTo: limit, default: -1)
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

/// What the attentions of all blocks share in one pass: the embeddings of distances.
struct DistanceTable {
  /// One row a bucket [2S, D].
  let embeddings: Tensor
  /// The rows for all queries and keys of a length [L, L].
  let rows: [Int: Tensor]
}

/// The blocks, one after the other, and the embeddings of distances.
final class DebertaV2Encoder: Module {
  let layer: [DebertaV2Layer]
  let rel_embeddings: Embedding?
  let LayerNorm: ApusCore.LayerNorm?
  private let distances: DistanceBuckets?
  private let heads: Int

  init(_ config: DebertaV2Config) {
    let size = config.base.hidden_size
    heads = config.base.num_attention_heads
    layer = (0..<config.base.num_hidden_layers).map { _ in DebertaV2Layer(config) }
    rel_embeddings = config.distances.map { Embedding(2 * $0.span, size) }
    LayerNorm =
      config.norm_rel_ebd ? ApusCore.LayerNorm(size, epsilon: config.base.layer_norm_eps) : nil
    distances = config.distances
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let table = rel_embeddings.map { LayerNorm?($0.weight.value) ?? $0.weight.value }
    var indices: [Int: Tensor] = [:]
    let stack = BlockStack(heads: heads, entrances: layer.map(\.sequence))
    return stack(rows, pass) { index, rows, layout, pass in
      for group in layout.groups where indices[group.length] == nil {
        indices[group.length] = distances?.rows(length: group.length).to(device: rows.device)
      }
      let shared = table.map { DistanceTable(embeddings: $0, rows: indices) }
      return layer[index](rows, layout, shared, pass)
    }
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class DebertaV2Layer: Module {
  let sequence = SequenceSite()
  let attention: DebertaV2Attention
  let intermediate: Widening
  let output: ResidualOutput

  init(_ config: DebertaV2Config) {
    attention = DebertaV2Attention(config)
    intermediate = Widening(config.base)
    output = ResidualOutput(config.base, inputs: config.base.intermediate_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    let attended = attention(rows, layout, distances, pass.scoped("attention"))
    let pass = pass.scoped("output")
    return output(intermediate(attended, pass), residual: attended, pass)
  }
}

/// Self-attention and the sum with what went in.
final class DebertaV2Attention: Module {
  @Key var selfAttention: DisentangledSelfAttention
  let output: ResidualOutput

  init(_ config: DebertaV2Config) {
    _selfAttention = Key(wrappedValue: DisentangledSelfAttention(config), "self")
    output = ResidualOutput(config.base, inputs: config.base.hidden_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    output(selfAttention(rows, layout, distances, pass), residual: rows, pass)
  }
}

/// Attention with terms for content and for distance.
///
/// Where distances have no projections of their own, they go through those of the content, with
/// the adapters there.
///
/// - Shapes: T rows, D hidden size, H heads, d = D / H, S span; B_g examples of length L_g.
/// - Source: He et al., arXiv 2006.03654, eq. 4.
final class DisentangledSelfAttention: Module {
  let query_proj: ProjectionSite
  let key_proj: ProjectionSite
  let value_proj: ProjectionSite
  let pos_key_proj: ProjectionSite?
  let pos_query_proj: ProjectionSite?
  let prefix = AttentionSite()
  private let attention: ScaledDotProduct
  private let terms: Set<String>
  private let dropout: Dropout
  private let heads: Int

  init(_ config: DebertaV2Config) {
    let (size, terms) = (config.base.hidden_size, config.pos_att_type)
    let hasOwn = config.distances != nil && !config.share_att_key
    query_proj = ProjectionSite(size, size)
    key_proj = ProjectionSite(size, size)
    value_proj = ProjectionSite(size, size)
    pos_key_proj = hasOwn && terms.contains("c2p") ? ProjectionSite(size, size) : nil
    pos_query_proj = hasOwn && terms.contains("p2c") ? ProjectionSite(size, size) : nil
    attention = ScaledDotProduct(
      dropout: config.base.attention_probs_dropout_prob, terms: 1 + terms.count)
    dropout = Dropout(config.base.hidden_dropout_prob)
    heads = config.base.num_attention_heads
    self.terms = terms
  }

  /// Rows [T, D] to rows [T, D], before `attention.output.dense`.
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    let q = query_proj(rows, pass.scoped("query_proj"))
    let k = key_proj(rows, pass.scoped("key_proj"))
    let v = value_proj(rows, pass.scoped("value_proj"))
    guard let distances, !terms.isEmpty else {
      return attention(q, k, v, layout, prefix, pass)
    }
    let table = dropout(distances.embeddings, pass, "distances")
    let keys = projected(table, "c2p", pos_key_proj ?? key_proj, pass)
    let queries = projected(table, "p2c", pos_query_proj ?? query_proj, pass)
    return attention(q, k, v, layout, prefix, pass) { [self] q, k in
      let rows = distances.rows[q.size(1)] ?? Tensor.empty([0])
      let toPosition = keys.map { scores(q, $0, rows) }
      let fromPosition = queries.map { scores(k, $0, rows.matrixTransposed).matrixTransposed }
      let parts = [toPosition, fromPosition].compactMap { $0 }
      let sum = parts.dropFirst().reduce(parts[0], +)
      return sum / Double((1 + terms.count) * q.size(2)).squareRoot()
    }
  }

  /// Embeddings of distances [2S, D] cut into heads [H, 2S, d]; nil if scores lack the term.
  private func projected(
    _ table: Tensor, _ term: String, _ site: ProjectionSite, _ pass: ForwardPass
  ) -> Tensor? {
    guard terms.contains(term) else { return nil }
    let rows = site(table, pass.scoped(term)).to(.float32)
    return rows.reshaped([rows.size(0), heads, -1]).transposed(0, 1)
  }

  /// Products of content [B_g·H, L_g, d] and distances [H, 2S, d], of which each place takes the
  /// row of its distance: [B_g·H, L_g, L_g].
  private func scores(_ content: Tensor, _ distances: Tensor, _ rows: Tensor) -> Tensor {
    let (count, length) = (content.size(0), content.size(1))
    let apart = content.reshaped([count / heads, heads, length, -1])
    let all = matmul(apart, distances.matrixTransposed).reshaped([count, length, -1])
    return all.gathered(2, rows.expanded([count, length, length]))
  }
}

/// The head of DeBERTa's classifier: two layers on the first token.
final class DebertaV2Head: Module, SequenceHead {
  let pooler: DebertaV2Pooler
  let classifier: Linear
  let dropout: Dropout

  init(_ config: JSONNode, _ size: Int, _ labels: Int) throws(ApusError) {
    pooler = try DebertaV2Pooler(config, size)
    classifier = Linear(size, labels)
    let hidden = try config["hidden_dropout_prob"].probability(default: 0.1)
    dropout = Dropout(try config["cls_dropout"].probability(default: hidden))
  }

  var output: Linear { classifier }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor { pooler(pooled, pass) }
}

/// A projection of each example's first token, which belongs to the head.
final class DebertaV2Pooler: Module {
  let dense: ProjectionSite
  private let dropout: Dropout
  private let activation: Activation

  init(_ config: JSONNode, _ size: Int) throws(ApusError) {
    dense = ProjectionSite(size, size)
    dropout = Dropout(try config["pooler_dropout"].probability(default: 0))
    activation = try Activation(config["pooler_hidden_act"], default: "gelu")
  }

  /// First tokens [B, D] to [B, D].
  func callAsFunction(_ first: Tensor, _ pass: ForwardPass) -> Tensor {
    let pass = pass.scoped("pooler")
    return activation(dense(dropout(first, pass, "pooled"), pass))
  }
}

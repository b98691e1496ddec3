internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// DeBERTa v2 and v3: attention scores that also depend on the distance of query and key, by
/// embeddings of distances that all blocks share.
///
/// Scores have up to three terms: content to content, content to position (c2p) and position to
/// content (p2c). The largest v2 checkpoints have a convolution over words beside the first block.
///
/// - Shapes: T rows (tokens of all examples), B examples, L longest, D hidden size, H heads,
///   d = D / H, S span of distances.
/// - Source: He et al., arXiv 2006.03654, eq. 4, and arXiv 2111.09543; transformers,
///   `models/deberta_v2/modeling_deberta_v2.py`.
final class DebertaV2: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: DisentangledEncoder
  private let config: DisentangledConfig

  /// A model without weights yet.
  init(_ config: DebertaV2Config) {
    self.config = config.shared
    embeddings = TextEmbeddings(
      config.shared.base, size: config.shared.embedding_size,
      hasPositions: config.shared.position_biased_input, isProjected: true)
    let (size, epsilon) = (config.shared.base.hidden_size, config.shared.base.layer_norm_eps)
    encoder = DisentangledEncoder(
      config.shared, norm: config.norm_rel_ebd ? LayerNorm(size, epsilon: epsilon) : nil,
      conv: config.conv.map { DebertaConvolution($0, config.shared.base) }
    ) { DebertaV2SelfAttention(config) }
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "deberta-v2", prefix: "deberta", classPrefix: "DebertaV2", hasPooler: false,
    defaultTargets: ["query_proj", "value_proj"],
    ia3Targets: ["key_proj", "value_proj", "output.dense"], ia3FeedForward: ["output.dense"],
    optionalParts: ["embeddings.position_embeddings."]
  ) { (config, _) throws(ApusError) in
    DebertaV2(try DebertaV2Config(config))
  } makeHead: { (config, size, labels) throws(ApusError) in
    try ContextHead(config, size, labels)
  }

  var hiddenSize: Int { config.base.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) { try batch.requireFit(config) }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }
}

/// What `config.json` says of a DeBERTa v2 or v3; fields have their names there.
struct DebertaV2Config: Sendable {
  /// The convolution of the largest checkpoints.
  struct Convolution: Sendable {
    let conv_kernel_size: Int
    let conv_act: Activation
  }

  let shared: DisentangledConfig
  let share_att_key: Bool
  let norm_rel_ebd: Bool
  let conv: Convolution?

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not have.
  init(_ config: JSONNode) throws(ApusError) {
    shared = try DisentangledConfig(config, hasBuckets: true)
    share_att_key = try config["share_att_key"].flag(default: false)
    norm_rel_ebd = try DisentangledConfig.words(config["norm_rel_ebd"]).contains("layer_norm")
    let size = shared.base.hidden_size / shared.base.num_attention_heads
    try DisentangledConfig.require(config["attention_head_size"], size)
    let width = try config["conv_kernel_size"].size(from: 0, upTo: 1_000, default: 0)
    guard width > 0 else {
      conv = nil
      return
    }
    guard !width.isMultiple(of: 2) else {
      throw config["conv_kernel_size"].error(
        "\(width) has no middle", remedy: "Take config.json from the checkpoint's source")
    }
    try DisentangledConfig.require(config["conv_groups"], 1)
    conv = Convolution(
      conv_kernel_size: width, conv_act: try Activation(config["conv_act"], default: "tanh"))
  }
}

/// Attention with terms for content and for distance.
///
/// Where distances have no projections of their own, they go through those of the content, with
/// the adapters there.
final class DebertaV2SelfAttention: Module, DisentangledAttention {
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
    let (base, terms) = (config.shared.base, config.shared.pos_att_type)
    let size = base.hidden_size
    let hasOwn = config.shared.distances != nil && !config.share_att_key
    query_proj = ProjectionSite(size, size)
    key_proj = ProjectionSite(size, size)
    value_proj = ProjectionSite(size, size)
    pos_key_proj = hasOwn && terms.contains("c2p") ? ProjectionSite(size, size) : nil
    pos_query_proj = hasOwn && terms.contains("p2c") ? ProjectionSite(size, size) : nil
    attention = ScaledDotProduct(
      dropout: base.attention_probs_dropout_prob, terms: 1 + terms.count)
    dropout = Dropout(base.hidden_dropout_prob)
    heads = base.num_attention_heads
    self.terms = terms
  }

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
    let scores = DistanceScores(
      keys: projected(table, "c2p", pos_key_proj ?? key_proj, pass),
      queries: projected(table, "p2c", pos_query_proj ?? query_proj, pass),
      rows: distances.rows, heads: heads)
    return attention(q, k, v, layout, prefix, pass) { scores($0, $1) }
  }

  /// Embeddings of distances [2S, D] cut into heads [H, 2S, d]; nil if scores lack the term.
  private func projected(
    _ table: Tensor, _ term: String, _ site: ProjectionSite, _ pass: ForwardPass
  ) -> Tensor? {
    guard terms.contains(term) else { return nil }
    let rows = site(table, pass.scoped(term)).to(.float32)
    return rows.reshaped([rows.size(0), heads, -1]).transposed(0, 1)
  }
}

/// What neighbouring words give to each word, added to the output of the first block.
///
/// - Shapes: T rows, D hidden size, k width of the kernel.
final class DebertaConvolution: Module {
  let conv: ConvolutionKernel
  let LayerNorm: ApusCore.LayerNorm
  private let activation: Activation
  private let dropout: Dropout

  init(_ config: DebertaV2Config.Convolution, _ base: EncoderConfig) {
    conv = ConvolutionKernel(base.hidden_size, width: config.conv_kernel_size)
    LayerNorm = ApusCore.LayerNorm(base.hidden_size, epsilon: base.layer_norm_eps)
    activation = config.conv_act
    dropout = Dropout(base.hidden_dropout_prob)
  }

  /// What went into the first block [T, D] and its output [T, D] to the new output [T, D].
  func callAsFunction(_ rows: Tensor, residual: Tensor, _ pass: ForwardPass) -> Tensor {
    LayerNorm(residual + activation(dropout(conv(rows, pass.layout), pass, "conv")))
  }
}

/// A convolution along each example, with zeros beyond its ends.
final class ConvolutionKernel: Module {
  let weight: Parameter
  let bias: Parameter

  init(_ size: Int, width: Int) {
    weight = Parameter(size, size, width)
    bias = Parameter(size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: RowLayout) -> Tensor {
    let (size, width) = (weight.shape[0], weight.shape[2])
    var neighbours: [Int] = []
    var start = 0
    for length in layout.lengths {
      for place in 0..<length {
        for other in (place - width / 2)...(place + width / 2) {
          neighbours.append((0..<length).contains(other) ? start + other : layout.rowCount)
        }
      }
      start += length
    }
    let index = Tensor(neighbours, shape: [neighbours.count]).to(device: rows.device)
    let empty = Tensor.zeros([1, size], dtype: rows.dtype, device: rows.device)
    let joined = concatenated([rows, empty]).indexSelected(0, index)
      .reshaped([layout.rowCount, width * size])
    let kernel = weight.value.permuted([0, 2, 1]).reshaped([size, width * size])
    return linear(joined, weight: kernel, bias: bias.value)
  }
}

extension TokenBatch {
  /// Refuses tokens that a DeBERTa does not have.
  func requireFit(_ config: DisentangledConfig) throws(ApusError) {
    let types = config.base.type_vocab_size
    try requireFit(
      ids: config.base.vocab_size, types: types > 0 ? types : nil,
      positions: config.base.max_position_embeddings)
  }
}

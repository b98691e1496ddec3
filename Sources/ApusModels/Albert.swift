internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// ALBERT: BERT with small embeddings, projected once, and few blocks that are used many times.
///
/// The adapters of a block act wherever the block is used; only the entrances, where prompts come
/// in, are told apart by depth.
///
/// - Shapes: T rows (tokens of all examples), B examples, E embedding size, D hidden size.
/// - Source: Lan et al., arXiv 1909.11942; transformers, `models/albert/modeling_albert.py`.
final class Albert: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: AlbertTransformer
  let pooler: ProjectionSite?
  private let config: EncoderConfig

  /// A model without weights yet, with the pooler of ALBERT's own classifiers or without.
  init(_ config: AlbertConfig, hasPooler: Bool) {
    self.config = config.encoder
    let size = config.encoder.hidden_size
    embeddings = TextEmbeddings(config.encoder, size: config.embedding_size)
    encoder = AlbertTransformer(config)
    pooler = hasPooler ? ProjectionSite(size, size) : nil
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "albert", prefix: "albert", classPrefix: "Albert", hasPooler: true,
    defaultTargets: ["query", "value"]
  ) { (config, hasPooler) throws(ApusError) in
    Albert(try AlbertConfig(config), hasPooler: hasPooler)
  } makeHead: { (config, size, labels) throws(ApusError) in
    let dropout = try config["classifier_dropout_prob"].probability(default: 0.1)
    return LinearHead(size, labels, dropout: dropout)
  }

  var hiddenSize: Int { config.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(
      ids: config.vocab_size, types: config.type_vocab_size,
      positions: config.max_position_embeddings)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }

  func pooled(_ hidden: Tensor, _ pass: ForwardPass) -> Tensor {
    let first = hidden.indexSelected(0, pass.layout.firstRows)
    return pooler.map { tanh($0(first, pass.scoped("pooler"))) } ?? first
  }
}

/// What `config.json` says of an ALBERT; fields have their names there.
struct AlbertConfig: Sendable {
  let encoder: EncoderConfig
  let embedding_size: Int
  let num_hidden_groups: Int
  let inner_group_num: Int

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not implement.
  init(_ config: JSONNode) throws(ApusError) {
    encoder = try EncoderConfig(
      config, defaults: EncoderConfig.Defaults(dropout: 0, hidden_act: "gelu_new"))
    embedding_size = try config["embedding_size"].size(upTo: 1_000_000, default: 128)
    num_hidden_groups = try config["num_hidden_groups"]
      .size(upTo: encoder.num_hidden_layers, default: 1)
    inner_group_num = try config["inner_group_num"].size(upTo: 100, default: 1)
  }
}

/// The projection of the embeddings, and the groups of blocks, each used at several depths.
final class AlbertTransformer: Module {
  let embedding_hidden_mapping_in: ProjectionSite
  let albert_layer_groups: [AlbertLayerGroup]
  let sequence: [SequenceSite]
  /// The block of every depth: its group and its place there.
  private let order: [(group: Int, place: Int)]
  private let heads: Int

  init(_ config: AlbertConfig) {
    heads = config.encoder.num_attention_heads
    embedding_hidden_mapping_in = ProjectionSite(config.embedding_size, config.encoder.hidden_size)
    albert_layer_groups = (0..<config.num_hidden_groups).map { _ in AlbertLayerGroup(config) }
    let (depth, groups) = (config.encoder.num_hidden_layers, config.num_hidden_groups)
    // In floating point, as the reference divides.
    let perGroup = Double(depth) / Double(groups)
    order = (0..<depth).flatMap { index in
      (0..<config.inner_group_num).map { (Int(Double(index) / perGroup), $0) }
    }
    sequence = order.map { _ in SequenceSite() }
  }

  /// Embeddings [T, E] to rows [T, D].
  func callAsFunction(_ embeddings: Tensor, _ pass: ForwardPass) -> Tensor {
    let rows = embedding_hidden_mapping_in(embeddings, pass.scoped("mapping"))
    let stack = BlockStack(heads: heads, entrances: sequence)
    return stack(rows, pass) { [self] index, rows, layout, pass in
      let (group, place) = order[index]
      return albert_layer_groups[group].albert_layers[place](rows, layout, pass)
    }
  }
}

/// Blocks that are always used one after the other.
final class AlbertLayerGroup: Module {
  let albert_layers: [AlbertLayer]

  init(_ config: AlbertConfig) {
    albert_layers = (0..<config.inner_group_num).map { _ in AlbertLayer(config.encoder) }
  }
}

/// One block, with a site at the end of each branch.
final class AlbertLayer: Module {
  let full_layer_layer_norm: LayerNorm
  let attention: AlbertAttention
  let ffn: ProjectionSite
  let ffn_output: ProjectionSite
  let branch = ResidualSite()
  private let activation: Activation

  init(_ config: EncoderConfig) {
    let (size, inner) = (config.hidden_size, config.intermediate_size)
    full_layer_layer_norm = LayerNorm(size, epsilon: config.layer_norm_eps)
    attention = AlbertAttention(config)
    ffn = ProjectionSite(size, inner)
    ffn_output = ProjectionSite(inner, size)
    activation = config.hidden_act
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let attended = attention(rows, layout, pass.scoped("attention"))
    let pass = pass.scoped("output")
    let wide = activation(ffn(attended, pass.scoped("ffn")))
    let narrow = ffn_output(wide, pass.scoped("ffn_output"))
    return full_layer_layer_norm(branch(narrow, input: attended, pass) + attended)
  }
}

/// Self-attention, its output projection, and the normalized sum with what went in.
final class AlbertAttention: Module {
  let query: ProjectionSite
  let key: ProjectionSite
  let value: ProjectionSite
  let dense: ProjectionSite
  let LayerNorm: ApusCore.LayerNorm
  let prefix = AttentionSite()
  let branch = ResidualSite()
  private let attention: ScaledDotProduct
  private let dropout: Dropout

  init(_ config: EncoderConfig) {
    let size = config.hidden_size
    query = ProjectionSite(size, size)
    key = ProjectionSite(size, size)
    value = ProjectionSite(size, size)
    dense = ProjectionSite(size, size)
    LayerNorm = ApusCore.LayerNorm(size, epsilon: config.layer_norm_eps)
    attention = ScaledDotProduct(dropout: config.attention_probs_dropout_prob)
    dropout = Dropout(config.hidden_dropout_prob)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let q = query(rows, pass.scoped("query"))
    let k = key(rows, pass.scoped("key"))
    let v = value(rows, pass.scoped("value"))
    let context = attention(q, k, v, layout, prefix, pass)
    let projected = dropout(dense(context, pass.scoped("dense")), pass, "dense")
    return LayerNorm(branch(projected, input: rows, pass) + rows)
  }
}

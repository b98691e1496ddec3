internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// DistilBERT: BERT's blocks under shorter names, without segments and pooler.
///
/// Positions are always read from the checkpoint: a sinusoidal table is stored there like a
/// trained one.
///
/// - Shapes: T rows (tokens of all examples), D hidden size (`dim`).
/// - Source: Sanh et al., arXiv 1910.01108; transformers,
///   `models/distilbert/modeling_distilbert.py`.
final class DistilBert: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let transformer: DistilBertTransformer
  private let config: EncoderConfig

  /// A model without weights yet.
  init(_ config: EncoderConfig) {
    self.config = config
    embeddings = TextEmbeddings(config)
    transformer = DistilBertTransformer(config)
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "distilbert", prefix: "distilbert", classPrefix: "DistilBert", hasPooler: false,
    defaultTargets: ["q_lin", "v_lin"]
  ) { (config, _) throws(ApusError) in
    DistilBert(try EncoderConfig(distilBert: config))
  } makeHead: { (config, size, labels) throws(ApusError) in
    let dropout = try config["seq_classif_dropout"].probability(default: 0.2)
    return DistilBertHead(size, labels, dropout: dropout)
  }

  var hiddenSize: Int { config.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(
      ids: config.vocab_size, types: nil, positions: config.max_position_embeddings)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    transformer(embeddings(batch, pass), pass)
  }
}

extension EncoderConfig {
  /// Reads DistilBERT's names of the fields; there are no segments, and ε is no field.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for
  ///   an activation that Apus does not have.
  fileprivate init(distilBert config: JSONNode) throws(ApusError) {
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    hidden_size = try config["dim"].size(upTo: 1_000_000)
    num_hidden_layers = try config["n_layers"].size(upTo: 1_000)
    num_attention_heads = try config["n_heads"].size(upTo: 10_000)
    intermediate_size = try config["hidden_dim"].size(upTo: 1_000_000)
    max_position_embeddings = try config["max_position_embeddings"].size(upTo: 10_000_000)
    type_vocab_size = 0
    layer_norm_eps = 1e-12
    hidden_dropout_prob = try config["dropout"].probability(default: 0.1)
    attention_probs_dropout_prob = try config["attention_dropout"].probability(default: 0.1)
    hidden_act = try Activation(config["activation"], default: "gelu")
    try config["dim"].requireSplit(hidden_size, into: num_attention_heads)
  }
}

/// The blocks, one after the other.
final class DistilBertTransformer: Module {
  let layer: [DistilBertBlock]
  private let heads: Int

  init(_ config: EncoderConfig) {
    heads = config.num_attention_heads
    layer = (0..<config.num_hidden_layers).map { _ in DistilBertBlock(config) }
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let stack = BlockStack(heads: heads, entrances: layer.map(\.sequence))
    return stack(rows, pass) { [layer] in layer[$0]($1, $2, $3) }
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class DistilBertBlock: Module {
  let sequence = SequenceSite()
  let attention: DistilBertSelfAttention
  let attentionBranch = ResidualSite()
  let sa_layer_norm: LayerNorm
  let ffn: DistilBertFeedForward
  let feedForwardBranch = ResidualSite()
  let output_layer_norm: LayerNorm

  init(_ config: EncoderConfig) {
    attention = DistilBertSelfAttention(config)
    sa_layer_norm = LayerNorm(config.hidden_size, epsilon: config.layer_norm_eps)
    ffn = DistilBertFeedForward(config)
    output_layer_norm = LayerNorm(config.hidden_size, epsilon: config.layer_norm_eps)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let inside = pass.scoped("attention")
    let gathered = attention(rows, layout, inside)
    let attended = sa_layer_norm(attentionBranch(gathered, input: rows, inside) + rows)
    let outside = pass.scoped("output")
    let widened = ffn(attended, outside)
    return output_layer_norm(feedForwardBranch(widened, input: attended, outside) + attended)
  }
}

/// Self-attention with its output projection; unlike in BERT, no dropout follows it.
final class DistilBertSelfAttention: Module {
  let q_lin: ProjectionSite
  let k_lin: ProjectionSite
  let v_lin: ProjectionSite
  let out_lin: ProjectionSite
  let prefix = AttentionSite()
  private let attention: ScaledDotProduct

  init(_ config: EncoderConfig) {
    let size = config.hidden_size
    q_lin = ProjectionSite(size, size)
    k_lin = ProjectionSite(size, size)
    v_lin = ProjectionSite(size, size)
    out_lin = ProjectionSite(size, size)
    attention = ScaledDotProduct(dropout: config.attention_probs_dropout_prob)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let q = q_lin(rows, pass.scoped("q_lin"))
    let k = k_lin(rows, pass.scoped("k_lin"))
    let v = v_lin(rows, pass.scoped("v_lin"))
    return out_lin(attention(q, k, v, layout, prefix, pass), pass.scoped("out_lin"))
  }
}

/// The feed-forward sublayer: wide and back, then dropout.
final class DistilBertFeedForward: Module {
  let lin1: ProjectionSite
  let lin2: ProjectionSite
  private let activation: Activation
  private let dropout: Dropout

  init(_ config: EncoderConfig) {
    lin1 = ProjectionSite(config.hidden_size, config.intermediate_size)
    lin2 = ProjectionSite(config.intermediate_size, config.hidden_size)
    activation = config.hidden_act
    dropout = Dropout(config.hidden_dropout_prob)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let wide = activation(lin1(rows, pass.scoped("lin1")))
    return dropout(lin2(wide, pass.scoped("lin2")), pass, "lin2")
  }
}

/// The head of DistilBERT's classifier: two layers on the first token.
final class DistilBertHead: Module, SequenceHead {
  let pre_classifier: Linear
  let classifier: Linear
  let dropout: Dropout

  init(_ size: Int, _ labels: Int, dropout: Double) {
    pre_classifier = Linear(size, size)
    classifier = Linear(size, labels)
    self.dropout = Dropout(dropout)
  }

  var output: Linear { classifier }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor { relu(pre_classifier(pooled)) }
}

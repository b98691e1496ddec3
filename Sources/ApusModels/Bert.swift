internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// BERT, a transformer encoder: token, position and segment embeddings, then blocks of attention
/// and feed-forward, each with its residual stream normalized after the sum.
///
/// Properties are the checkpoint's keys below `bert`. Tokens are rows without padding; only the
/// attention pads them.
///
/// - Shapes: T rows (tokens of all examples), B examples, L longest, D hidden size, H heads,
///   d = D / H.
/// - Source: Devlin et al., arXiv 1810.04805; transformers, `models/bert/modeling_bert.py`.
final class Bert: Module, TextEncoder {
  let embeddings: BertEmbeddings
  let encoder: BertEncoder
  let pooler: BertPooler?
  private let config: BertConfig

  /// A model without weights yet, with the pooler that BERT's own classifiers use or without.
  init(_ config: BertConfig, hasPooler: Bool) {
    self.config = config
    embeddings = BertEmbeddings(config)
    encoder = BertEncoder(config)
    pooler = hasPooler ? BertPooler(config) : nil
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "bert", prefix: "bert", classPrefix: "Bert"
  ) { (config, hasPooler) throws(ApusError) in
    Bert(try BertConfig(config), hasPooler: hasPooler)
  }

  var hiddenSize: Int { config.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    let bounds = [
      ("token id", batch.bounds.id, config.vocab_size),
      ("token type", batch.bounds.type, config.type_vocab_size),
      ("position", batch.layout.maxLength - 1, config.max_position_embeddings),
    ]
    for (what, found, limit) in bounds where found >= limit || batch.bounds.hasNegative {
      throw ApusError(
        .invalidData, at: "batch, \(what) \(found)", "the model has \(limit), numbered from 0",
        remedy: "Use the tokenizer of the checkpoint, and cut texts to \(limit) tokens at most")
    }
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }

  func pooled(_ hidden: Tensor, _ pass: ForwardPass) -> Tensor {
    let first = hidden.indexSelected(0, pass.layout.firstRows)
    return pooler.map { $0(first, pass) } ?? first
  }
}

/// The sum of three embeddings, normalized.
final class BertEmbeddings: Module {
  let word_embeddings: Embedding
  let position_embeddings: Embedding
  let token_type_embeddings: Embedding
  let LayerNorm: ApusCore.LayerNorm
  private let dropout: Dropout

  init(_ config: BertConfig) {
    let size = config.hidden_size
    word_embeddings = Embedding(config.vocab_size, size)
    position_embeddings = Embedding(config.max_position_embeddings, size)
    token_type_embeddings = Embedding(config.type_vocab_size, size)
    LayerNorm = ApusCore.LayerNorm(size, epsilon: config.layer_norm_eps)
    dropout = Dropout(config.hidden_dropout_prob)
  }

  /// Token ids to rows [T, D].
  func callAsFunction(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    let sum =
      word_embeddings(batch.ids) + token_type_embeddings(batch.types)
      + position_embeddings(batch.positions)
    return dropout(LayerNorm(sum), pass, "embeddings")
  }
}

/// The blocks, one after the other.
final class BertEncoder: Module {
  let layer: [BertLayer]
  private let heads: Int

  init(_ config: BertConfig) {
    heads = config.num_attention_heads
    layer = (0..<config.num_hidden_layers).map { _ in BertLayer(config) }
  }

  /// Rows [T, D] through all blocks; prompts that a block's sequence site puts in front stay until
  /// the end, unless a later site replaces them.
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    var (rows, pass) = (rows, pass)
    var inserted = 0
    var layout = HeadLayout(pass.layout, heads: heads, device: rows.device)
    for (index, block) in layer.enumerated() {
      if block.sequence.adapter != nil {
        var inside = pass.scoped("layer", index)
        rows = block.sequence(rows, &inside, inserted: &inserted)
        pass.layout = inside.layout
        layout = HeadLayout(pass.layout, heads: heads, device: rows.device)
      }
      rows = block(rows, layout, pass.scoped("layer", index))
    }
    return SequenceSite.removing(inserted, from: rows, &pass)
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class BertLayer: Module {
  let sequence = SequenceSite()
  let attention: BertAttention
  let intermediate: BertIntermediate
  let output: BertOutput

  init(_ config: BertConfig) {
    attention = BertAttention(config)
    intermediate = BertIntermediate(config)
    output = BertOutput(config, inputs: config.intermediate_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let attended = attention(rows, layout, pass.scoped("attention"))
    let pass = pass.scoped("output")
    return output(intermediate(attended, pass), residual: attended, pass)
  }
}

/// Self-attention and the sum with what went in.
final class BertAttention: Module {
  @Key var selfAttention: BertSelfAttention
  let output: BertOutput

  init(_ config: BertConfig) {
    _selfAttention = Key(wrappedValue: BertSelfAttention(config), "self")
    output = BertOutput(config, inputs: config.hidden_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    output(selfAttention(rows, layout, pass), residual: rows, pass)
  }
}

/// Every token gathers from the others of its example: softmax(QKᵀ / √d + mask)·V.
///
/// Scores and context are computed in float32 also beside bfloat16 projections, whose rounding
/// they would amplify.
///
/// - Source: Vaswani et al., arXiv 1706.03762, eq. 1.
final class BertSelfAttention: Module {
  let query: ProjectionSite
  let key: ProjectionSite
  let value: ProjectionSite
  let prefix = AttentionSite()
  private let attention: ScaledDotProduct

  init(_ config: BertConfig) {
    let size = config.hidden_size
    query = ProjectionSite(size, size)
    key = ProjectionSite(size, size)
    value = ProjectionSite(size, size)
    attention = ScaledDotProduct(dropout: config.attention_probs_dropout_prob)
  }

  /// Rows [T, D] to rows [T, D], before `attention.output.dense`.
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let q = query(rows, pass.scoped("query"))
    let k = key(rows, pass.scoped("key"))
    let v = value(rows, pass.scoped("value"))
    return attention(q, k, v, layout, prefix, pass)
  }
}

/// The end of a branch: projection, dropout, the sum with the residual stream, norm.
final class BertOutput: Module {
  let dense: ProjectionSite
  let LayerNorm: ApusCore.LayerNorm
  let branch = ResidualSite()
  private let dropout: Dropout

  init(_ config: BertConfig, inputs: Int) {
    dense = ProjectionSite(inputs, config.hidden_size)
    LayerNorm = ApusCore.LayerNorm(config.hidden_size, epsilon: config.layer_norm_eps)
    dropout = Dropout(config.hidden_dropout_prob)
  }

  /// The sublayer's inner rows [T, d_in] and the residual stream [T, D] to the stream [T, D].
  func callAsFunction(_ inner: Tensor, residual: Tensor, _ pass: ForwardPass) -> Tensor {
    let projected = dropout(dense(inner, pass.scoped("dense")), pass, "dense")
    return LayerNorm(branch(projected, input: residual, pass) + residual)
  }
}

/// The widening half of the feed-forward sublayer.
final class BertIntermediate: Module {
  let dense: ProjectionSite
  private let activation: Activation

  init(_ config: BertConfig) {
    dense = ProjectionSite(config.hidden_size, config.intermediate_size)
    activation = config.hidden_act
  }

  /// Rows [T, D] to rows [T, intermediate size].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    activation(dense(rows, pass.scoped("intermediate")))
  }
}

/// A projection of each example's first token, as the next-sentence task trained it.
final class BertPooler: Module {
  let dense: ProjectionSite

  init(_ config: BertConfig) { dense = ProjectionSite(config.hidden_size, config.hidden_size) }

  /// First tokens [B, D] to [B, D].
  func callAsFunction(_ first: Tensor, _ pass: ForwardPass) -> Tensor {
    tanh(dense(first, pass.scoped("pooler")))
  }
}

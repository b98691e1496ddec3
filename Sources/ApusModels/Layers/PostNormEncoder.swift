internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// The blocks of BERT and of what has its keys, one after the other.
///
/// Each block is attention and feed-forward, with the residual stream normalized after each sum.
///
/// - Shapes: T rows (tokens of all examples), D hidden size, H heads, d = D / H.
final class PostNormEncoder: Module {
  let layer: [PostNormBlock]
  private let heads: Int

  init(_ config: EncoderConfig) {
    heads = config.num_attention_heads
    layer = (0..<config.num_hidden_layers).map { _ in PostNormBlock(config) }
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let stack = BlockStack(heads: heads, entrances: layer.map(\.sequence))
    return stack(rows, pass) { [layer] in layer[$0]($1, $2, $3) }
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class PostNormBlock: Module {
  let sequence = SequenceSite()
  let attention: PostNormAttention
  let intermediate: Widening
  let output: ResidualOutput

  init(_ config: EncoderConfig) {
    attention = PostNormAttention(config)
    intermediate = Widening(config)
    output = ResidualOutput(config, inputs: config.intermediate_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let attended = attention(rows, layout, pass.scoped("attention"))
    let pass = pass.scoped("output")
    return output(intermediate(attended, pass), residual: attended, pass)
  }
}

/// Self-attention and the sum with what went in.
final class PostNormAttention: Module {
  @Key var selfAttention: QueryKeyValue
  let output: ResidualOutput

  init(_ config: EncoderConfig) {
    _selfAttention = Key(wrappedValue: QueryKeyValue(config), "self")
    output = ResidualOutput(config, inputs: config.hidden_size)
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
final class QueryKeyValue: Module {
  let query: ProjectionSite
  let key: ProjectionSite
  let value: ProjectionSite
  let prefix = AttentionSite()
  private let attention: ScaledDotProduct

  init(_ config: EncoderConfig) {
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
final class ResidualOutput: Module {
  let dense: ProjectionSite
  let LayerNorm: ApusCore.LayerNorm
  let branch = ResidualSite()
  private let dropout: Dropout

  init(_ config: EncoderConfig, inputs: Int) {
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
final class Widening: Module {
  let dense: ProjectionSite
  private let activation: Activation

  init(_ config: EncoderConfig) {
    dense = ProjectionSite(config.hidden_size, config.intermediate_size)
    activation = config.hidden_act
  }

  /// Rows [T, D] to rows [T, intermediate size].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    activation(dense(rows, pass.scoped("intermediate")))
  }
}

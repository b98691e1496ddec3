internal import ApusCore
internal import ApusTorch

/// Projections of queries, keys, values and output without biases; products are not scaled.
class T5Projections: Module {
  let q: ProjectionSite
  let k: ProjectionSite
  let v: ProjectionSite
  let o: ProjectionSite
  /// The table of distances, which the first block has for all [buckets, H].
  let relative_attention_bias: Embedding?
  let prefix = AttentionSite()
  let config: T5Config

  init(_ config: T5Config, hasTable: Bool) {
    let inner = config.num_heads * config.d_kv
    q = ProjectionSite(config.d_model, inner, bias: false)
    k = ProjectionSite(config.d_model, inner, bias: false)
    v = ProjectionSite(config.d_model, inner, bias: false)
    o = ProjectionSite(inner, config.d_model, bias: false)
    relative_attention_bias =
      hasTable ? Embedding(config.relative_attention_num_buckets, config.num_heads) : nil
    self.config = config
  }

  /// Queries of rows [T, D].
  final func queries(_ rows: Tensor, _ pass: ForwardPass) -> Tensor { q(rows, pass.scoped("q")) }

  /// Keys and values of rows [T, D].
  final func keysAndValues(
    _ rows: Tensor, _ pass: ForwardPass
  ) -> (keys: Tensor, values: Tensor) {
    (k(rows, pass.scoped("k")), v(rows, pass.scoped("v")))
  }

  /// The attention's rows [T, H·d] to rows [T, D].
  final func output(_ context: Tensor, _ pass: ForwardPass) -> Tensor {
    o(context, pass.scoped("o"))
  }
}

/// What an encoder's blocks share in one pass: scores by distance, made of the first block's tables.
protocol T5SourceAttention: T5Projections {
  /// Name of the attention in the checkpoint.
  static var key: String { get }

  /// What blocks share, from the first of them.
  func shared(_ layout: HeadLayout, _ rows: RowLayout) -> T5Biases

  /// Rows [S, D] to rows [S, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ pass: ForwardPass
  ) -> Tensor
}

/// Scores by distance.
struct T5Biases {
  /// By length of texts [H, L, L]; of band attention, those of a block under 0 [H, w, 3w].
  var own: [Int: Tensor] = [:]
  /// The table for tokens that stand for many [buckets, H]; nil if there are none.
  var side: Tensor?
}

/// Attention of every token to its whole source.
final class T5FullAttention: T5Projections, T5SourceAttention {
  static let key = "SelfAttention"

  func shared(_ layout: HeadLayout, _ rows: RowLayout) -> T5Biases {
    var biases = T5Biases()
    guard let table = relative_attention_bias?.weight.value else { return biases }
    let buckets = config.buckets(isBidirectional: true)
    for length in layout.groups.map(\.length) where biases.own[length] == nil {
      biases.own[length] = buckets.bias(table, length: length)
    }
    return biases
  }

  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ pass: ForwardPass
  ) -> Tensor {
    let (k, v) = keysAndValues(rows, pass)
    let heads = config.num_heads
    let attention = ScaledDotProduct(dropout: config.dropout_rate, scale: 1)
    let context = attention(queries(rows, pass), k, v, layout, prefix, pass) { q, _ in
      let (count, length) = (q.size(0), q.size(1))
      return (biases.own[length] ?? Tensor.empty([0])).unsqueezed(0)
        .expanded([count / heads, heads, length, length]).reshaped([count, length, length])
    }
    return output(context, pass)
  }
}

/// Attention of a target, to itself or to the source.
final class T5TargetAttention: T5Projections {
  private let gather: TargetAttention

  init(_ config: T5Config, block: Int, hasTable: Bool) {
    gather = TargetAttention(
      attention: ScaledDotProduct(dropout: config.dropout_rate, scale: 1), block: block,
      heads: config.num_heads)
    super.init(config, hasTable: hasTable)
  }

  /// Rows [T, D] to rows [T, D], by what their own text says so far.
  func own(
    _ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass,
    bias: @escaping (_ length: Int) -> Tensor
  ) -> Tensor {
    let (k, v) = keysAndValues(rows, pass)
    return output(gather.own(queries(rows, pass), k, v, plan, prefix, pass, bias: bias), pass)
  }

  /// Rows [T, D] to rows [T, D], by what the source says.
  func source(_ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    let context = gather.source(queries(rows, pass), plan, prefix, pass) {
      keysAndValues($0, pass)
    }
    return output(context, pass)
  }
}

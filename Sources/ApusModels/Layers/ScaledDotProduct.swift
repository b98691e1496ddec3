internal import ApusCore
internal import ApusTorch

/// Multi-head attention over rows without padding: softmax(QKᵀ / √d + mask)·V.
///
/// Everything between the projections is float32, whatever the projections are: in bfloat16 the
/// softmax loses digits and its backward is slow on processors. Where scores are nothing but
/// products, a processor computes them without padding and stores none; adapters that put keys in
/// front and architectures that add to the scores go through padded groups.
///
/// - Shapes: T rows, H heads, d head size, P prefix, D = H·d, S keys; groups as in ``HeadLayout``.
/// - Source: Vaswani et al., arXiv 1706.03762, eq. 1.
struct ScaledDotProduct: Sendable {
  /// Scores that an architecture adds by the distance of query and key [B_g·H, L_g, L_g], from
  /// queries and keys [B_g·H, L_g, d].
  typealias RelativeScores = (_ q: Tensor, _ k: Tensor) -> Tensor

  private let dropout: Dropout
  private let scale: @Sendable (_ size: Int) -> Double

  /// An attention whose scores are a sum of so many products, and are divided by √(terms·d).
  init(dropout: Double, terms: Int = 1) {
    self.dropout = Dropout(dropout)
    scale = { 1 / Double(terms * $0).squareRoot() }
  }

  /// An attention whose products are multiplied by a number whatever d is.
  init(dropout: Double, scale: Double) {
    self.dropout = Dropout(dropout)
    self.scale = { _ in scale }
  }

  /// Gathers values by the likeness of queries and keys.
  ///
  /// - Parameters:
  ///   - queries: Rows [T, D].
  ///   - keys: Rows [T, D], or [S, D] of other texts.
  ///   - values: Rows as many as keys.
  ///   - layout: How the queries are cut and padded.
  ///   - keyLayout: How keys and values are, in groups of the same examples; nil for as the queries.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  ///   - relative: The other terms of the scores, scaled already; nil if there are none.
  /// - Returns: Rows [T, D] in the queries' dtype.
  func callAsFunction(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ layout: HeadLayout,
    from keyLayout: HeadLayout? = nil, _ prefix: AttentionSite, _ pass: ForwardPass,
    relative: RelativeScores? = nil
  ) -> Tensor {
    let seen = keyLayout ?? layout
    if queries.device == .cpu, prefix.adapter == nil, relative == nil {
      let packed = PackedAttention(
        lengths: layout.lengths, keyLengths: seen.lengths, keyHeads: layout.heads,
        scale: scale(queries.size(1) / layout.heads))
      return packed(queries, keys, values, dropout: dropout.draws(pass, "shares"))
    }
    let q = layout.split(queries.to(.float32))
    let k = seen.split(keys.to(.float32))
    let v = seen.split(values.to(.float32))
    let contexts = layout.groups.indices.map { index in
      attend(
        q[index], k[index], v[index], mask: seen.groups[index].mask,
        batch: layout.groups[index].exampleCount, prefix, pass.scoped("group", index),
        distances: relative?(q[index], k[index]))
    }
    return layout.join(contexts).to(queries.dtype)
  }

  /// One group: queries [B_g·H, n, d] over keys and values [B_g·H, S, d] to the context
  /// [B_g·H, n, d].
  ///
  /// - Parameters:
  ///   - q: The queries.
  ///   - k: The keys.
  ///   - v: The values.
  ///   - mask: Added to the scores of every query [B_g, 1, 1, S]; nil for nothing.
  ///   - batch: B_g.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  ///   - distances: Added to the scores, broadcastable to [B_g·H, n, S]; nil for nothing.
  /// - Returns: The context in float32.
  func attend(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor?, batch: Int, _ prefix: AttentionSite,
    _ pass: ForwardPass, distances: Tensor?
  ) -> Tensor {
    let (heads, size, length) = (q.size(0) / batch, q.size(2), k.size(1))
    var (k, v, mask, distances) = (k, v, mask, distances)
    if prefix.adapter != nil {
      let apart = [batch, heads, length, size]
      (k, v, mask) = prefix(k.reshaped(apart), v.reshaped(apart), mask: mask, pass)
      (k, v) = (k.reshaped([batch * heads, -1, size]), v.reshaped([batch * heads, -1, size]))
      distances = distances?.padded([k.size(1) - length, 0])
    }
    var added = mask.map { $0.expanded([batch, heads, 1, -1]).reshaped([batch * heads, 1, -1]) }
    if let distances { added = added.map { $0 + distances } ?? distances }
    let scores = baddbmm(
      added ?? Tensor.zeros([1, 1, 1], device: q.device), q, k.matrixTransposed,
      beta: added == nil ? 0 : 1, alpha: scale(size))  // [B_g·H, n, P + S]
    return matmul(dropout(softmax(scores), pass, "shares"), v)
  }
}

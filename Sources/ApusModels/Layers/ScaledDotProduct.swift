internal import ApusCore
internal import ApusTorch

/// Multi-head attention over rows without padding: softmax(QKᵀ / √d + mask)·V.
///
/// Everything between the projections is float32, whatever the projections are: in bfloat16 the
/// softmax loses digits and its backward is slow on processors.
///
/// - Shapes: T rows, H heads, d head size, P prefix, D = H·d; groups as in ``HeadLayout``.
/// - Source: Vaswani et al., arXiv 1706.03762, eq. 1.
struct ScaledDotProduct: Sendable {
  /// Scores that an architecture adds by the distance of query and key [B_g·H, L_g, L_g], from
  /// queries and keys [B_g·H, L_g, d].
  typealias RelativeScores = (_ q: Tensor, _ k: Tensor) -> Tensor

  private let dropout: Dropout
  private let terms: Int

  /// An attention whose scores are a sum of so many products, and are divided by √(terms·d).
  init(dropout: Double, terms: Int = 1) {
    self.dropout = Dropout(dropout)
    self.terms = terms
  }

  /// Gathers values by the likeness of queries and keys.
  ///
  /// - Parameters:
  ///   - queries: Rows [T, D].
  ///   - keys: Rows [T, D].
  ///   - values: Rows [T, D].
  ///   - layout: How the rows are cut and padded.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  ///   - relative: The other terms of the scores, divided already; nil if there are none.
  /// - Returns: Rows [T, D] in the queries' dtype.
  func callAsFunction(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ layout: HeadLayout,
    _ prefix: AttentionSite, _ pass: ForwardPass, relative: RelativeScores? = nil
  ) -> Tensor {
    let q = layout.split(queries.to(.float32))
    let k = layout.split(keys.to(.float32))
    let v = layout.split(values.to(.float32))
    let contexts = layout.groups.indices.map { index in
      attend(
        q[index], k[index], v[index], layout.groups[index], layout.heads, prefix,
        pass.scoped("group", index), relative)
    }
    return layout.join(contexts).to(queries.dtype)
  }

  /// One group: q, k and v [B_g·H, L_g, d] to the context of the same shape.
  private func attend(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ group: HeadLayout.Group, _ heads: Int,
    _ prefix: AttentionSite, _ pass: ForwardPass, _ relative: RelativeScores?
  ) -> Tensor {
    let (batch, size) = (group.exampleCount, q.size(2))
    var distances = relative?(q, k)
    var (k, v, mask) = (k, v, group.mask)
    if prefix.adapter != nil {
      let apart = [batch, heads, group.length, size]
      (k, v, mask) = prefix(k.reshaped(apart), v.reshaped(apart), mask: mask, pass)
      (k, v) = (k.reshaped([batch * heads, -1, size]), v.reshaped([batch * heads, -1, size]))
      distances = distances?.padded([k.size(1) - group.length, 0])
    }
    var added = mask.map { $0.expanded([batch, heads, 1, -1]).reshaped([batch * heads, 1, -1]) }
    if let distances { added = added.map { $0 + distances } ?? distances }
    let scores = baddbmm(
      added ?? Tensor.zeros([1, 1, 1], device: q.device), q, k.matrixTransposed,
      beta: added == nil ? 0 : 1,
      alpha: 1 / Double(terms * size).squareRoot())  // [B_g·H, L_g, P + L_g]
    return matmul(dropout(softmax(scores), pass, "shares"), v)
  }
}

internal import ApusCore
internal import ApusTorch

/// Attention to earlier tokens: softmax(cap(s·QKᵀ) + mask)·V, several queries to a key head.
///
/// Everything between the projections is float32, as in ``ScaledDotProduct``. The queries that
/// share a key head are rows of one product with it, so that keys are never repeated.
///
/// - Shapes: T rows, K key heads, q queries of each, d head size; groups as in ``HeadLayout``.
/// - Source: Ainslie et al., arXiv 2305.13245 (grouped queries); Beltagy et al., arXiv 2004.05150
///   (windows); Gemma Team, arXiv 2408.00118, §2 (soft caps).
struct CausalAttention: Sendable {
  /// s.
  let scale: Double
  /// The largest absolute score, approached smoothly; nil for none.
  var softCap: Double?
  /// Tokens that are looked back at, the own included; nil for all.
  var window: Int?
  /// Acts on the shares.
  let dropout: Dropout
  /// K.
  let heads: Int

  /// Gathers values by the likeness of queries and keys; without stored scores where these are
  /// products alone, as in ``ScaledDotProduct``.
  ///
  /// - Parameters:
  ///   - queries: Rows [T, K·q·d].
  ///   - keys: Rows [T, K·d].
  ///   - values: Rows [T, K·d].
  ///   - block: Number of the block, for the cache.
  ///   - plan: Where rows lie and what they see.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  /// - Returns: Rows [T, K·q·d] in the queries' dtype.
  func callAsFunction(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor, block: Int, _ plan: DecoderPlan,
    _ prefix: AttentionSite, _ pass: ForwardPass
  ) -> Tensor {
    var (q, k) = (queries.to(.float32), keys.to(.float32))
    let v = values.to(.float32)
    if let rotation = plan.rotation { (q, k) = (rotation(q), rotation(k)) }
    if let cache = plan.cache, cache.isFilled {
      return step(q, k, v, block, cache, prefix, pass).to(queries.dtype)
    }
    plan.cache?.fill(block, keys: k, values: v, heads: heads, layout: pass.layout)
    let (size, layout) = (k.size(1) / heads, plan.layout)
    if queries.device == .cpu, prefix.adapter == nil, softCap == nil,
      window == nil || plan.isDense
    {
      let packed = PackedAttention(
        lengths: layout.lengths, keyHeads: heads, queriesPerKey: q.size(1) / k.size(1),
        scale: scale, isCausal: true, window: window)
      return packed(q, k, v, dropout: dropout.draws(pass, "shares")).to(queries.dtype)
    }
    let (qs, ks, vs) = (layout.split(q), layout.split(k), layout.split(v))
    let contexts = layout.groups.indices.map { index in
      let group = layout.groups[index]
      let apart = [group.exampleCount, heads, group.length, size]
      let context = gather(
        qs[index].reshaped([group.exampleCount * heads, -1, size]), ks[index].reshaped(apart),
        vs[index].reshaped(apart), plan.mask(index, window: window), prefix,
        pass.scoped("group", index))
      return context.reshaped([group.exampleCount * heads, group.length, -1])
    }
    return layout.join(contexts).to(queries.dtype)
  }

  /// One more token of every example: rows [B, K·q·d] and [B, K·d] to rows [B, K·q·d].
  private func step(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ block: Int, _ cache: KeyValueCache,
    _ prefix: AttentionSite, _ pass: ForwardPass
  ) -> Tensor {
    var (keys, values, mask) = cache.append(block, keys: k, values: v, heads: heads)
    let columns = keys.size(2)
    if let window, window < columns {
      let near = (columns - window)..<columns
      (keys, values) = (keys.sliced(2, near), values.sliced(2, near))
      mask = mask.sliced(3, near)
    }
    let asking = q.reshaped([q.size(0) * heads, -1, keys.size(3)])
    return gather(asking, keys, values, mask, prefix, pass).reshaped(q.shape)
  }

  /// Queries [B·K, n, d] over keys and values [B, K, S, d] to the context [B·K, n, d].
  private func gather(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor, _ prefix: AttentionSite,
    _ pass: ForwardPass
  ) -> Tensor {
    let (longer, values, added) = prefix(k, v, mask: mask, pass)
    let flat = { (x: Tensor) in x.reshaped([-1, x.size(2), x.size(3)]) }
    let seen = (added ?? mask).expanded([-1, mask.size(0) == 1 ? 1 : heads, -1, -1])
    let (bias, keys) = (flat(seen), flat(longer))
    let scores: Tensor
    if let softCap {
      let raw = matmul(q, keys.matrixTransposed) * (scale / softCap)
      scores = tanh(raw) * softCap + bias
    } else {
      scores = baddbmm(bias, q, keys.matrixTransposed, alpha: scale)
    }
    return matmul(dropout(softmax(scores), pass, "shares"), flat(values))
  }
}

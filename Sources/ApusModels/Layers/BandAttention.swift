internal import ApusCore
internal import ApusTorch

/// Attention to near tokens, and to a few that all see: cost grows with the length, not its square.
///
/// Queries are cut into blocks that are at least as long as the band is wide on one side, so that
/// each block's keys are its own and those of both neighbours. What may not be seen gets a large
/// negative score, not −∞: a padded query can have no key at all.
///
/// - Shapes: N examples times heads, L length, d head size, w block length, n blocks, G side keys.
/// - Source: Beltagy et al., arXiv 2004.05150, §3.1; Guo et al., arXiv 2112.07916, §3.1.
struct BandAttention: Sendable {
  /// Tokens on each side that a query sees.
  let radius: Int
  /// Products are multiplied by it.
  let scale: Double
  let dropout: Dropout

  /// Keys and values that are no neighbours.
  struct Side {
    /// [N, G, d].
    let keys: Tensor
    let values: Tensor
    /// Added to the scores, broadcastable to [N, L, G].
    let added: Tensor
  }

  /// Score of what may not be seen.
  static let hidden = -1e10

  /// w.
  var blockLength: Int { radius + 1 }

  /// Distances of a block's keys from its queries, key minus query [w, 3w].
  var distances: [[Int]] {
    (0..<blockLength).map { query in
      (0..<(3 * blockLength)).map { $0 - blockLength - query }
    }
  }

  /// Gathers values by the likeness of queries and keys.
  ///
  /// - Parameters:
  ///   - q: Queries [N, L, d].
  ///   - k: Keys [N, L, d].
  ///   - v: Values [N, L, d].
  ///   - visible: 0 for keys that may be seen, ``hidden`` for others [N, L].
  ///   - bias: Scores by distance, broadcastable to [N, 1, w, 3w]; nil for none.
  ///   - side: Keys beside the band; nil for none.
  ///   - pass: Source of dropout.
  /// - Returns: The context [N, L, d].
  func callAsFunction(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, visible: Tensor, bias: Tensor?, side: Side?,
    _ pass: ForwardPass
  ) -> Tensor {
    let (count, length, size) = (q.size(0), q.size(1), q.size(2))
    let width = blockLength
    let blocks = (length + width - 1) / width
    let missing = blocks * width - length
    let whole = { (x: Tensor) in
      x.padded([0, 0, 0, missing]).reshaped([count, blocks, width, size])
    }
    let triple = { (x: Tensor) in
      let framed = x.padded([0, 0, width, width + missing])  // one block on each side
        .reshaped([count, blocks + 2, width, size])
      return concatenated(
        (0..<3).map { framed.sliced(1, $0..<($0 + blocks)) }, dim: 2)
    }
    let framed = visible.padded([width, width + missing], value: Self.hidden)
      .reshaped([count, blocks + 2, width])
    let seen = concatenated((0..<3).map { framed.sliced(1, $0..<($0 + blocks)) }, dim: 2)
    let near = matmul(whole(q), triple(k).matrixTransposed) * scale  // [N, n, w, 3w]
    var scores = near + seen.unsqueezed(2) + band(q)
    if let bias { scores = scores + bias }
    guard let side else {
      let shares = dropout(softmax(scores), pass, "shares")
      return matmul(shares, triple(v)).reshaped([count, blocks * width, size])
        .sliced(1, 0..<length)
    }
    let wide = side.keys.size(1)
    let far = (matmul(q, side.keys.matrixTransposed) * scale + side.added)
      .padded([0, 0, 0, missing]).reshaped([count, blocks, width, wide])
    let shares = dropout(softmax(concatenated([scores, far], dim: 3)), pass, "shares")
    let own = matmul(shares.sliced(3, 0..<(3 * width)), triple(v))
    let others = matmul(
      shares.sliced(3, (3 * width)..<(3 * width + wide)), side.values.unsqueezed(1))
    return (own + others).reshaped([count, blocks * width, size]).sliced(1, 0..<length)
  }

  /// 0 within the band, ``hidden`` beyond it [w, 3w].
  private func band(_ like: Tensor) -> Tensor {
    let values = distances.joined().map { abs($0) <= radius ? 0 : Float(Self.hidden) }
    return Tensor(values, shape: [blockLength, 3 * blockLength]).to(device: like.device)
  }
}

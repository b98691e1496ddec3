internal import ApusBase
public import ApusTorch

/// Factors for clients of any rank: fresh ones, or the leading part of a decomposition.
///
/// - Shapes: A [r, d_in], B [d_out, r], float32; r is cut to what a site can hold.
public struct FreshFactors: Sendable {
  /// The highest rank that the configuration gives a site.
  public let adapterRank: Int
  private let initial: NamedTensors
  private let random: RandomStream

  /// Factors like those that a server's clients start with.
  public init(_ setting: ServerSetting) {
    initial = setting.initial
    random = setting.random.substream("lora_A")
    adapterRank = setting.factorPairs.compactMap { setting.initial.rank(of: $0) }.max() ?? 1
  }

  /// Factors of one site.
  ///
  /// Of a decomposition U·Σ·Vᵀ they are its best approximation of rank r: all singular values are
  /// in B, so that A keeps its length, and the factors of lower ranks are leading slices of those
  /// of higher ones. Where the decomposition has fewer values, A goes on with rows that are
  /// orthonormal too, beside zeros in B, so that these can learn.
  ///
  /// - Parameters:
  ///   - pair: The site, with the scaling of the configured rank.
  ///   - rank: r.
  ///   - leading: `<site>.u`, U·Σ, and `<site>.v`, Vᵀ; without them A is as drawn and B zero.
  /// - Returns: A and B with s·BA equal to the approximation for s = alpha / r; nil for a site that
  ///   nobody knows.
  /// - Source: card FlexLoRA, server step 4.
  public func factors(
    of pair: FactorPair, rank: Int, leading: NamedTensors
  ) -> (a: Tensor, b: Tensor)? {
    guard let a = initial[pair.a], let b = initial[pair.b] else { return nil }
    let rank = min(rank, a.size(1), b.size(0))
    guard let u = leading["\(pair.site).u"], let v = leading["\(pair.site).v"] else {
      return (drawn(pair, a, rank: rank), Tensor.zeros([b.size(0), rank]))
    }
    let kept = min(rank, v.size(0))
    let scaling = pair.scaling * Double(a.size(0)) / Double(rank)
    var rows = v.sliced(0, 0..<kept)
    if kept < rank {
      let further = drawn(pair, a, rank: rank - kept).to(.float64)
      // The first columns of Q are those of V again, as its rows are orthonormal.
      let q = qr(concatenated([rows.to(.float64), further]).matrixTransposed).q
      rows = concatenated([rows, q.sliced(1, kept..<rank).matrixTransposed.to(.float32)])
    }
    let columns = (u.sliced(1, 0..<kept) / scaling).padded([0, rank - kept])
    return (rows.contiguous(), columns.contiguous())
  }

  /// A as the configuration starts it, with further rows from the server's chance if it has fewer.
  private func drawn(_ pair: FactorPair, _ a: Tensor, rank: Int) -> Tensor {
    guard rank > a.size(0) else { return a.sliced(0, 0..<rank).cloned() }
    var stream = random.substream(pair.site)
    let bound = 1 / Double(a.size(1)).squareRoot()
    let further = Tensor.uniform(
      [rank - a.size(0), a.size(1)], low: -bound, high: bound, stream: &stream)
    return concatenated([a, further])
  }
}

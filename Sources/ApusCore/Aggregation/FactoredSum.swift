public import ApusTorch

/// A sum of low-rank products Σ wₖ·Bₖ·Aₖ, kept as two factors and never as one matrix.
///
/// The factors grow by r with each term until their inner dimension exceeds that of the matrix
/// itself; a QR decomposition then brings it back, exactly, so memory is bounded for any number
/// of terms. Norms and inner products go through Gram matrices of the inner dimension.
///
/// - Shapes: A [r, d_in], B [d_out, r]; the factors U [d_out, m] and V [m, d_in] in float64.
public struct FactoredSum: Sendable {
  private var pending: [(u: Tensor, v: Tensor)] = []

  /// The empty sum.
  public init() {}

  /// Whether no term was added.
  public var isEmpty: Bool { pending.isEmpty }

  /// Adds weight · B·A; the weight goes into A alone, or it would count twice.
  public mutating func add(b: Tensor, a: Tensor, weight: Double) {
    pending.append((b.detached().to(.float64), a.detached().to(.float64) * weight))
    let inner = pending.reduce(0) { $0 + $1.u.size(1) }
    guard inner > 2 * min(b.size(0), a.size(1)) else { return }
    pending = [compressed()]
  }

  /// The sum times a number.
  public func scaled(_ factor: Double) -> FactoredSum {
    var result = self
    result.pending = pending.map { ($0.u, $0.v * factor) }
    return result
  }

  /// The factors U and V with U·V equal to the sum; nil if it is empty.
  public var factors: (u: Tensor, v: Tensor)? {
    guard !pending.isEmpty else { return nil }
    return (concatenated(pending.map(\.u), dim: 1), concatenated(pending.map(\.v), dim: 0))
  }

  /// The Frobenius norm ‖Σ wₖBₖAₖ‖, with square √⟨UᵀU, VVᵀ⟩.
  public var norm: Double {
    guard let (u, v) = factors else { return 0 }
    let square = (matmul(u.matrixTransposed, u) * matmul(v, v.matrixTransposed)).sum().item
    return max(0, square).squareRoot()
  }

  /// The best approximation of a lower rank: the largest singular values with their vectors.
  ///
  /// Two QR decompositions and the decomposition of their small core; d_out × d_in is not formed.
  ///
  /// - Parameters:
  ///   - rank: Most singular values to keep.
  ///   - threshold: Singular values up to this one are dropped too.
  /// - Returns: Factors U [d_out, ρ] and V [ρ, d_in]; nil if no singular value is left.
  /// - Complexity: O((d_out + d_in)·m²) for an inner dimension m.
  /// - Source: Eckart and Young, Psychometrika 1 (1936), 211–218.
  public func truncated(
    toRank rank: Int, droppingUpTo threshold: Double = 0
  ) -> (u: Tensor, v: Tensor)? {
    guard rank > 0, let (u, v) = factors else { return nil }
    let (left, right) = (qr(u), qr(v.matrixTransposed))
    let core = svd(matmul(left.r, right.r.matrixTransposed))
    let kept = min(rank, core.s.doubles.prefix { $0 > threshold }.count)
    guard kept > 0 else { return nil }
    let scaled = core.u.sliced(1, 0..<kept) * core.s.sliced(0, 0..<kept)
    return (
      matmul(left.q, scaled), matmul(core.vt.sliced(0, 0..<kept), right.q.matrixTransposed)
    )
  }

  /// Number of singular values above a share of the largest one; 0 for the zero matrix.
  public func numericalRank(relativeTo share: Double) -> Int {
    guard let (u, v) = factors else { return 0 }
    let core = matmul(qr(u).r, qr(v.matrixTransposed).r.matrixTransposed)
    let values = svd(core).s.doubles
    guard let largest = values.first, largest > 0 else { return 0 }
    return values.prefix { $0 > share * largest }.count
  }

  /// Factors of inner dimension min(d_out, d_in): U·V = Q·(R·V), or (U·Lᵀ)·Qᵀ.
  private func compressed() -> (u: Tensor, v: Tensor) {
    guard let (u, v) = factors else { return (Tensor.zeros([0, 0]), Tensor.zeros([0, 0])) }
    guard u.size(0) > v.size(1) else {
      let (q, r) = qr(u)
      return (q, matmul(r, v))
    }
    let (q, r) = qr(v.matrixTransposed)
    return (matmul(u, r.matrixTransposed), q.matrixTransposed)
  }
}

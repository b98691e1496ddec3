public import ApusTorch

/// A sum of low-rank products Σ wₖ·Bₖ·Aₖ, kept as factors and never as one matrix.
///
/// Terms are kept in the precision in which they came, which for float32 is half the memory, and
/// computed with in float64. They grow by r with each term until their inner dimension exceeds that
/// of the matrix itself; a QR decomposition then brings it back, exactly, so memory is bounded for
/// any number of terms. Norms and inner products go through Gram matrices of the inner dimension.
///
/// - Shapes: A [r, d_in], B [d_out, r]; the factors U [d_out, m] and V [m, d_in] in float64.
public struct FactoredSum: Sendable {
  private struct Term: Sendable {
    let u: Tensor
    let v: Tensor
    var weight: Double
  }

  private var terms: [Term] = []

  /// The empty sum.
  public init() {}

  /// The sum of one term, weight · B·A.
  public init(b: Tensor, a: Tensor, weight: Double = 1) { add(b: b, a: a, weight: weight) }

  /// Whether no term was added.
  public var isEmpty: Bool { terms.isEmpty }

  /// The inner dimension m of the factors.
  public var inner: Int { terms.reduce(0) { $0 + $1.u.size(1) } }

  /// Adds weight · B·A; copies are kept, and no memory of a message's.
  public mutating func add(b: Tensor, a: Tensor, weight: Double) {
    terms.append(Term(u: b.detached().cloned(), v: a.detached().cloned(), weight: weight))
    guard inner > 2 * min(b.size(0), a.size(1)) else { return }
    let (u, v) = compressed()
    terms = [Term(u: u, v: v, weight: 1)]
  }

  /// Adds weight · X for a matrix, as a product with the identity on its shorter side.
  public mutating func add(matrix: Tensor, weight: Double) {
    let length = min(matrix.size(0), matrix.size(1))
    let identity = Tensor.range(0, length).oneHot(classes: length)
      .to(matrix.dtype, device: matrix.device)
    if matrix.size(0) <= matrix.size(1) {
      add(b: identity, a: matrix, weight: weight)
    } else {
      add(b: matrix, a: identity, weight: weight)
    }
  }

  /// The sum times a number.
  public func scaled(_ factor: Double) -> FactoredSum {
    var result = self
    for index in terms.indices { result.terms[index].weight *= factor }
    return result
  }

  /// The factors U and V with U·V equal to the sum; nil if it is empty.
  public var factors: (u: Tensor, v: Tensor)? {
    guard !terms.isEmpty else { return nil }
    // The weight goes into V alone, or it would count twice.
    return (
      concatenated(terms.map { $0.u.to(.float64) }, dim: 1),
      concatenated(terms.map { $0.v.to(.float64) * $0.weight }, dim: 0)
    )
  }

  /// The Frobenius norm ‖Σ wₖBₖAₖ‖, with square ⟨UᵀU, VVᵀ⟩.
  public var norm: Double { max(0, inner(with: self)).squareRoot() }

  /// The Frobenius inner product with another sum, ⟨UᵀU′, VV′ᵀ⟩.
  ///
  /// - Complexity: O((d_out + d_in)·m·m′) for inner dimensions m and m′.
  public func inner(with other: FactoredSum) -> Double {
    guard let (u, v) = factors, let (otherU, otherV) = other.factors else { return 0 }
    return (matmul(u.matrixTransposed, otherU) * matmul(v, otherV.matrixTransposed)).sum().item
  }

  /// The sum times a thin matrix: Σ wₖBₖ(AₖYᵀ) for Y [r, d_in], giving [d_out, r] in float64.
  public func times(transposed y: Tensor) -> Tensor? {
    guard let (u, v) = factors else { return nil }
    return matmul(u, matmul(v, y.detached().to(.float64).matrixTransposed))
  }

  /// The best approximation of a lower rank: the largest singular values with their vectors.
  ///
  /// Two QR decompositions and the decomposition of their small core; d_out × d_in is not formed.
  /// For a rank far below the inner dimension eigenvectors of the two Gram matrices take their
  /// place, which is several times as fast and finds singular values down to 10⁻⁷ of the largest.
  /// The columns of U are orthogonal, with the singular values as their lengths, and the rows of V
  /// orthonormal, so the approximation of any lower rank yet is their leading columns and rows.
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
    factors.flatMap { Self.truncated($0, toRank: rank, droppingUpTo: threshold) }
  }

  /// The same of factors that are at hand, U [d_out, m] and V [m, d_in] in float64.
  public static func truncated(
    _ factors: (u: Tensor, v: Tensor), toRank rank: Int, droppingUpTo threshold: Double = 0
  ) -> (u: Tensor, v: Tensor)? {
    guard rank > 0 else { return nil }
    let (u, v) = factors
    if rank <= v.size(0) / 4, v.size(0) >= 64 {
      return leading(u, v, rank: rank, droppingUpTo: threshold)
    }
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

  /// The same from Gram matrices: with UᵀU = HᵀH, H·VVᵀ·Hᵀ = W·S²·Wᵀ and rows S⁻¹WᵀHV.
  private static func leading(
    _ u: Tensor, _ v: Tensor, rank: Int, droppingUpTo threshold: Double
  ) -> (u: Tensor, v: Tensor)? {
    let (values, vectors) = symmetricEigen(matmul(u.matrixTransposed, u))
    let h = (vectors * values.clamped(low: 0).squareRoot).matrixTransposed
    let inner = matmul(matmul(h, matmul(v, v.matrixTransposed)), h.matrixTransposed)
    let (squares, turned) = symmetricEigen((inner + inner.matrixTransposed) / 2)
    let roots = squares.doubles.reversed().map { max(0, $0).squareRoot() }
    let lowest = max(threshold, 1e-7 * (roots.first ?? 0))
    let kept = min(rank, roots.prefix { $0 > lowest }.count)
    guard kept > 0 else { return nil }
    let columns =
      turned.flipped(1).sliced(1, 0..<kept)
      / Tensor(
        Array(roots.prefix(kept)), shape: [1, kept])
    // Once more orthonormal, which small singular values have lost.
    let rows = qr(matmul(v.matrixTransposed, matmul(h.matrixTransposed, columns))).q
    let left = matmul(u, matmul(v, rows))
    // U of the projection turned so that its columns are orthogonal.
    let core = svd(qr(left).r)
    let basis = matmul(rows, core.vt.matrixTransposed)
    return (matmul(left, core.vt.matrixTransposed), basis.matrixTransposed)
  }

  /// What the product of the means misses: Σ pₖ(Bₖ − B̄)(Aₖ − Ā) for weights pₖ that sum to 1.
  ///
  /// As Σ pₖ(Bₖ − B̄) = 0 the last Aₖ can stand for Ā, and one term falls away: no decomposition is
  /// needed for factors of the lowest inner dimension that holds in general, (K − 1)·r.
  ///
  /// - Parameters:
  ///   - b: B̄.
  ///   - a: Ā.
  /// - Returns: The same up to rounding, and, where terms were merged or have other ranks than the
  ///   means, the sum less B̄Ā.
  public func residual(b: Tensor, a: Tensor) -> FactoredSum {
    var result = FactoredSum()
    guard let last = terms.last?.v.to(.float64),
      terms.allSatisfy({ $0.u.shape == b.shape && $0.v.shape == a.shape })
    else {
      result = self
      result.add(b: b, a: a, weight: -1)
      return result
    }
    let mean = b.detached().to(.float64)
    for term in terms.dropLast() {
      result.terms.append(
        Term(u: term.u.to(.float64) - mean, v: term.v.to(.float64) - last, weight: term.weight))
    }
    return result
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

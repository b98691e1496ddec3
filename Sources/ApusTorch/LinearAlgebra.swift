internal import CApusTorch

/// Reduced singular value decomposition X = U·diag(S)·Vᵀ, with signs that do not depend on LAPACK.
///
/// The largest entry (by magnitude, the first of equals) of every column of U is made positive.
///
/// - Shapes: X [m, n], U [m, k], S [k] descending, Vᵀ [k, n], k = min(m, n).
public func svd(_ x: Tensor) -> (u: Tensor, s: Tensor, vt: Tensor) {
  var parts: (u: apus_tensor?, s: apus_tensor?, vt: apus_tensor?)
  guard apus_svd(x.raw, &parts.u, &parts.s, &parts.vt) else {
    return (Tensor(nil), Tensor(nil), Tensor(nil))
  }
  let (u, s, vt) = (Tensor(parts.u), Tensor(parts.s), Tensor(parts.vt))
  guard u.count > 0, vt.count > 0 else { return (u, s, vt) }
  let signs = columnSigns(u)  // [1, k]
  return (u * signs, s, vt * signs.matrixTransposed)
}

/// Reduced QR decomposition X = Q·R with a non-negative diagonal of R.
///
/// - Shapes: X [m, n], Q [m, k], R [k, n], k = min(m, n).
public func qr(_ x: Tensor) -> (q: Tensor, r: Tensor) {
  var parts: (q: apus_tensor?, r: apus_tensor?)
  guard apus_qr(x.raw, &parts.q, &parts.r) else { return (Tensor(nil), Tensor(nil)) }
  let (q, r) = (Tensor(parts.q), Tensor(parts.r))
  let k = q.size(-1)
  guard k > 0, r.count > 0 else { return (q, r) }
  let index = Tensor.range(0, k).unsqueezed(1).to(device: r.device)
  let diagonal = r.gathered(1, index)  // [k, 1]
  let signs = select(diagonal .< 0, -diagonal.onesLike, otherwise: diagonal.onesLike)
  return (q * signs.matrixTransposed, r * signs)
}

/// Eigenvalues (ascending) and eigenvectors (columns) of a symmetric matrix; signs as in svd.
public func symmetricEigen(_ x: Tensor) -> (values: Tensor, vectors: Tensor) {
  var parts: (values: apus_tensor?, vectors: apus_tensor?)
  guard apus_eigh(x.raw, &parts.values, &parts.vectors) else { return (Tensor(nil), Tensor(nil)) }
  let vectors = Tensor(parts.vectors)
  guard vectors.count > 0 else { return (Tensor(parts.values), vectors) }
  return (Tensor(parts.values), vectors * columnSigns(vectors))
}

/// Lower factor L of X = L·Lᵀ for a positive definite X.
public func cholesky(_ x: Tensor) -> Tensor { Tensor(apus_cholesky(x.raw)) }

/// The solution X of A·X = B for a square, invertible A.
public func solve(_ a: Tensor, _ b: Tensor) -> Tensor { Tensor(apus_solve(a.raw, b.raw)) }

/// The X that minimizes ‖A·X − B‖ for an A of full rank.
public func leastSquares(_ a: Tensor, _ b: Tensor) -> Tensor { Tensor(apus_lstsq(a.raw, b.raw)) }

/// For each column the sign of its entry of largest magnitude [1, k]; 1 for a column of zeros.
private func columnSigns(_ x: Tensor) -> Tensor {
  let largest = x.gathered(0, x.magnitude.argmax(0, keepDims: true))
  return select(largest .< 0, -largest.onesLike, otherwise: largest.onesLike)
}

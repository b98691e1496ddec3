internal import ApusBase
public import ApusTorch

/// The largest singular values of a matrix with their vectors, found from products with it alone.
///
/// A Krylov space of blocks, each orthogonal to all before it, grows until the wanted directions
/// stand still: every residual ‖Xᵀu − σv‖ is at most 10⁻⁵ of the largest singular value, which
/// leaves the energy that they hold right to 10⁻¹⁰. A space as large as the matrix is exact.
///
/// - Shapes: X [m, n]; U [m, r], S [r] descending, Vᵀ [r, n], in float64.
/// - Source: Musco and Musco, arXiv 1504.05477, Algorithm 2, with a stopping rule.
public struct LeadingDirections {
  /// Left vectors.
  public let u: Tensor
  /// Singular values.
  public let s: Tensor
  /// Right vectors.
  public let vt: Tensor

  /// Columns of a block beyond the rank.
  private static let surplus = 8
  /// Blocks between two looks at the residuals.
  private static let patience = 6
  /// Side up to which a matrix is decomposed as it is.
  private static let dense = 512

  /// Those of a matrix.
  ///
  /// - Parameters:
  ///   - matrix: X.
  ///   - rank: r, cut to what the matrix has.
  public init(of matrix: Tensor, rank: Int) {
    let x = matrix.detached().to(.float64)
    guard min(x.size(0), x.size(1)) > Self.dense else {
      let kept = min(rank, x.size(0), x.size(1))
      let (u, s, vt) = svd(x)
      self.init(u.sliced(1, 0..<kept), s.sliced(0, 0..<kept), vt.sliced(0, 0..<kept))
      return
    }
    let transposed = x.matrixTransposed
    self.init(
      rows: x.size(0), columns: x.size(1), rank: rank, times: { matmul(x, $0) },
      transposedTimes: { matmul(transposed, $0) })
  }

  /// Those of tuned entries of a weight, which are never made a matrix unless it is small.
  public init(of entries: Tensor, in mask: WeightMask, rank: Int) {
    guard min(mask.shape[0], mask.shape[1]) > Self.dense else {
      self.init(of: mask.matrix(of: entries), rank: rank)
      return
    }
    let sparse = SparseProduct(mask, entries)
    self.init(
      rows: mask.shape[0], columns: mask.shape[1], rank: rank, times: sparse.times,
      transposedTimes: sparse.transposedTimes)
  }

  private init(
    rows: Int, columns: Int, rank: Int, times: (Tensor) -> Tensor,
    transposedTimes: (Tensor) -> Tensor
  ) {
    let limit = min(rows, columns)
    let width = min(limit, rank + Self.surplus)
    // Any start does; this one is the same everywhere.
    var stream = RandomStream(seed: 1).substream("krylov")
    var basis = [qr(Tensor.normal([columns, width], stream: &stream, dtype: .float64)).q]
    var images = [times(basis[0])]
    var count = width
    var found = Self.ritz(basis, images, rank)
    while count < limit {
      for _ in 0..<Self.patience where count < limit {
        var block = transposedTimes(images[images.count - 1])
        let whole = concatenated(basis, dim: 1)
        for _ in 0..<2 {
          block = block - matmul(whole, matmul(whole.matrixTransposed, block))
        }
        let next = qr(block.sliced(1, 0..<min(width, limit - count))).q
        basis.append(next)
        images.append(times(next))
        count += next.size(1)
      }
      found = Self.ritz(basis, images, rank)
      let gap = transposedTimes(found.u) - found.vt.matrixTransposed * found.s
      let largest = found.s.max().item
      // Written so that a matrix with NaN ends the search too.
      guard gap.norm([0]).max().item > 1e-5 * largest else { break }
    }
    self.init(found.u, found.s, found.vt)
  }

  private init(_ u: Tensor, _ s: Tensor, _ vt: Tensor) { (self.u, self.s, self.vt) = (u, s, vt) }

  /// The best that a space of right vectors has to offer.
  private static func ritz(
    _ basis: [Tensor], _ images: [Tensor], _ rank: Int
  ) -> (u: Tensor, s: Tensor, vt: Tensor) {
    let (q, r) = qr(concatenated(images, dim: 1))
    let core = svd(r)
    let kept = min(rank, core.s.size(0))
    let whole = concatenated(basis, dim: 1)
    return (
      matmul(q, core.u.sliced(1, 0..<kept)), core.s.sliced(0, 0..<kept),
      matmul(core.vt.sliced(0, 0..<kept), whole.matrixTransposed)
    )
  }
}

/// Products with a sparse matrix.
private struct SparseProduct {
  private let rows: Tensor
  private let columns: Tensor
  private let values: Tensor
  private let shape: [Int]

  init(_ mask: WeightMask, _ entries: Tensor) {
    let places = mask.places.ints
    rows = Tensor(places.map { $0 / mask.shape[1] }, shape: [places.count])
    columns = Tensor(places.map { $0 % mask.shape[1] }, shape: [places.count])
    values = entries.detached().to(.float64).unsqueezed(1)
    shape = mask.shape
  }

  func times(_ x: Tensor) -> Tensor {
    Tensor.zeros([shape[0], x.size(1)], dtype: .float64)
      .indexAdded(0, rows, x.indexSelected(0, columns) * values)
  }

  func transposedTimes(_ y: Tensor) -> Tensor {
    Tensor.zeros([shape[1], y.size(1)], dtype: .float64)
      .indexAdded(0, columns, y.indexSelected(0, rows) * values)
  }
}

import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// Requires that directions are the largest of a matrix, up to what the search leaves.
private func expectLeading(_ found: LeadingDirections, of matrix: Tensor, rank: Int) {
  let values = svd(matrix).s.doubles
  let identity = Tensor.range(0, rank).oneHot(classes: rank).to(.float64)
  expectClose(
    matmul(found.u.matrixTransposed, found.u), identity, absolute: 1e-9, relative: 0)
  expectClose(
    matmul(found.vt, found.vt.matrixTransposed), identity, absolute: 1e-9, relative: 0)
  expectClose(
    found.s, Tensor(Array(values.prefix(rank)), shape: [rank]), absolute: 1e-6 * values[0],
    relative: 0)
  let error = (matrix - matmul(found.u * found.s, found.vt)).norm().item
  let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
  #expect(abs(error - expected) < 1e-6 * matrix.norm().item)
}

@Suite struct LeadingDirectionsLaws {
  @Test(arguments: [(40, 30), (30, 40), (560, 540), (540, 700)])
  func `they are those of the whole decomposition, for a flat spectrum too`(
    rows: Int, columns: Int
  ) throws {
    var stream = RandomStream(seed: 5)
    let matrix = drawn([rows, columns], &stream, dtype: .float64)
    expectLeading(LeadingDirections(of: matrix, rank: 4), of: matrix, rank: 4)
    try Tensor.check()
  }

  @Test(arguments: [24, 530])
  func `tuned entries have the directions of their matrix, without making it`(size: Int) throws {
    var stream = RandomStream(seed: 6)
    let mask = SparsePlan(density: 0.05, seed: 2).mask("q", shape: [size + 10, size], rank: 3)
    let entries = drawn([mask.count], &stream, dtype: .float64)
    let found = LeadingDirections(of: entries, in: mask, rank: 3)
    expectLeading(found, of: mask.matrix(of: entries), rank: 3)
    try Tensor.check()
  }

  @Test func `a low rank is found, and no more than there is`() throws {
    var stream = RandomStream(seed: 7)
    let matrix = matmul(
      drawn([600, 2], &stream, dtype: .float64), drawn([2, 580], &stream, dtype: .float64))
    let found = LeadingDirections(of: matrix, rank: 5)
    expectClose(
      matmul(found.u * found.s, found.vt), matrix, absolute: 1e-8, relative: 1e-8)
    #expect(found.s.doubles[2] < 1e-6 * found.s.doubles[0])
    #expect(LeadingDirections(of: matrix.sliced(0, 0..<3), rank: 5).s.count == 3)
    try Tensor.check()
  }
}

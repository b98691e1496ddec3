import ApusBase
import ApusTestSupport
import ApusTorch
import Testing

private let shapes = [[4, 4], [7, 3], [3, 7], [1, 5], [5, 1], [1, 1]]

private func identity(_ size: Int) -> Tensor {
  Tensor.range(0, size).oneHot(classes: size).to(.float64)
}

private func expectEqual(_ found: Tensor, _ expected: Tensor, _ name: String) {
  expectClose(found, expected, absolute: 1e-12, relative: 1e-10, name)
}

@Suite struct LinearAlgebraLaws {
  /// Full rank, one direction only, and zero.
  private func matrices(_ shape: [Int]) -> [Tensor] {
    let left = drawn([shape[0], 1], seed: 5, dtype: .float64)
    let right = drawn([1, shape[1]], seed: 6, dtype: .float64)
    return [
      drawn(shape, seed: 4, dtype: .float64), matmul(left, right),
      Tensor.zeros(shape, dtype: .float64),
    ]
  }

  @Test(arguments: shapes)
  func `svd gives back the matrix from orthonormal factors, largest value first`(
    shape: [Int]
  ) throws {
    let size = min(shape[0], shape[1])
    for x in matrices(shape) {
      let (u, s, vt) = svd(x)
      try Tensor.check()
      expectEqual(matmul(u * s, vt), x, "U·S·Vᵀ")
      expectEqual(matmul(u.matrixTransposed, u), identity(size), "UᵀU")
      expectEqual(matmul(vt, vt.matrixTransposed), identity(size), "VᵀV")
      #expect(s.doubles == s.doubles.sorted(by: >))
      #expect(s.doubles.allSatisfy { $0 >= 0 })
      #expect(largestPerColumn(u).allSatisfy { $0 > 0 })
    }
  }

  @Test(arguments: shapes)
  func `qr gives back the matrix, with a non-negative diagonal`(shape: [Int]) throws {
    let size = min(shape[0], shape[1])
    for x in matrices(shape) {
      let (q, r) = qr(x)
      try Tensor.check()
      expectEqual(matmul(q, r), x, "Q·R")
      expectEqual(matmul(q.matrixTransposed, q), identity(size), "QᵀQ")
      #expect(
        r.lowerTriangle(diagonal: -1).isIdentical(to: r.zerosLike)
          || r.lowerTriangle(diagonal: -1).magnitude.max().item == 0)
      #expect((0..<size).allSatisfy { r[$0][$0].item >= 0 })
    }
  }

  @Test(arguments: [1, 2, 6])
  func `symmetricEigen gives back the matrix, smallest value first`(size: Int) throws {
    for factor in matrices([size, size]) {
      let x = matmul(factor, factor.matrixTransposed)
      let (values, vectors) = symmetricEigen(x)
      try Tensor.check()
      expectEqual(matmul(vectors * values, vectors.matrixTransposed), x, "V·Λ·Vᵀ")
      expectEqual(matmul(vectors.matrixTransposed, vectors), identity(size), "VᵀV")
      #expect(values.doubles == values.doubles.sorted())
      #expect(largestPerColumn(vectors).allSatisfy { $0 > 0 })
    }
  }

  @Test func `permuting the rows permutes the left factor and no sign changes`() throws {
    let x = drawn([6, 4], seed: 8, dtype: .float64)
    let order = Tensor([3, 0, 5, 1, 4, 2], shape: [6])
    let (plain, permuted) = (svd(x), svd(x.indexSelected(0, order)))
    expectEqual(permuted.u, plain.u.indexSelected(0, order), "U")
    expectEqual(permuted.s, plain.s, "S")
    expectEqual(permuted.vt, plain.vt, "Vᵀ")
    let gram = matmul(x, x.matrixTransposed) + identity(6) * Tensor.range(0, 6).to(.float64)
    let other = symmetricEigen(gram.indexSelected(0, order).indexSelected(1, order))
    expectEqual(other.vectors, symmetricEigen(gram).vectors.indexSelected(0, order), "V")
    #expect(svd(x).u.isIdentical(to: plain.u))
    try Tensor.check()
  }

  @Test func `empty matrices have empty factors`() throws {
    let (u, s, vt) = svd(Tensor.zeros([0, 3]))
    #expect([u.shape, s.shape, vt.shape] == [[0, 0], [0], [0, 3]])
    let (q, r) = qr(Tensor.zeros([3, 0]))
    #expect([q.shape, r.shape] == [[3, 0], [0, 0]])
    try Tensor.check()
  }

  @Test func `NaN is a failure, not a crash`() throws {
    let x = Tensor.full([3, 3], .nan)
    #expect(!svd(x).u.isDefined)
    #expect(throws: ApusError.self) { try Tensor.check() }
    #expect(!symmetricEigen(x).values.isDefined)
    #expect(throws: ApusError.self) { try Tensor.check() }
    #expect(!cholesky(-identity(2)).isDefined)
    #expect(throws: ApusError.self) { try Tensor.check() }
    #expect(!solve(Tensor.zeros([2, 2]), Tensor.ones([2])).isDefined)
    #expect(throws: ApusError.self) { try Tensor.check() }
  }

  @Test func `cholesky, solve and least squares invert their products`() throws {
    let a = drawn([5, 5], seed: 1, dtype: .float64)
    let b = drawn([5, 2], seed: 2, dtype: .float64)
    let gram = matmul(a, a.matrixTransposed) + identity(5)
    let lower = cholesky(gram)
    expectEqual(matmul(lower, lower.matrixTransposed), gram, "L·Lᵀ")
    expectEqual(matmul(gram, solve(gram, b)), b, "A·X")
    let tall = drawn([9, 5], seed: 3, dtype: .float64)
    expectEqual(leastSquares(tall, matmul(tall, b)), b, "least squares")
    try Tensor.check()
  }

  private func largestPerColumn(_ x: Tensor) -> [Double] {
    x.gathered(0, x.magnitude.argmax(0, keepDims: true)).doubles
  }
}

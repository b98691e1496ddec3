import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// d_out, d_in and r of a case: tall, wide, square, flat, and r above both.
private let shapes = [(9, 4, 2), (4, 9, 2), (5, 5, 3), (1, 6, 1), (6, 1, 2), (3, 2, 5)]

/// A sum of random products, and the same formed densely in float64.
private func drawnSum(
  terms: Int, _ shape: (Int, Int, Int), seed: UInt64
) -> (factored: FactoredSum, dense: Tensor) {
  var stream = RandomStream(seed: seed)
  var factored = FactoredSum()
  var dense = Tensor.zeros([shape.0, shape.1], dtype: .float64)
  for _ in 0..<terms {
    let b = drawn([shape.0, shape.2], &stream)
    let a = drawn([shape.2, shape.1], &stream)
    let weight = stream.gaussian()
    factored.add(b: b, a: a, weight: weight)
    dense = dense + matmul(b.to(.float64), a.to(.float64)) * weight
  }
  return (factored, dense)
}

@Suite struct FactoredSumLaws {
  @Test(arguments: shapes.indices, [1, 2, 5, 40])
  func `the factors multiply to the sum, before compression and after`(
    index: Int, terms: Int
  ) throws {
    for seed in 0..<5 as Range<UInt64> {
      let (factored, dense) = drawnSum(terms: terms, shapes[index], seed: seed)
      let (u, v) = try #require(factored.factors)
      expectClose(matmul(u, v), dense, absolute: 1e-12 * Double(terms), relative: 1e-10)
      let norm = dense.norm().item
      #expect(abs(factored.norm - norm) <= 1e-10 * norm, "seed \(seed)")
    }
    try Tensor.check()
  }

  @Test(arguments: shapes)
  func `the inner dimension never exceeds twice the matrix's smaller side`(
    rows: Int, columns: Int, rank: Int
  ) throws {
    var stream = RandomStream(seed: 3)
    var sum = FactoredSum()
    for _ in 0..<30 {
      sum.add(b: drawn([rows, rank], &stream), a: drawn([rank, columns], &stream), weight: 1)
      let factors = try #require(sum.factors)
      #expect(factors.u.size(1) <= 2 * min(rows, columns))
      #expect(factors.u.shape == [rows, factors.v.size(0)])
    }
  }

  @Test func `terms that cancel leave almost nothing`() {
    var stream = RandomStream(seed: 5)
    let (b, a) = (drawn([6, 2], &stream), drawn([2, 4], &stream))
    var sum = FactoredSum()
    sum.add(b: b, a: a, weight: 2)
    let whole = sum.norm
    sum.add(b: b, a: a, weight: -2)
    #expect(sum.norm <= 1e-7 * whole)
  }

  @Test func `scaling scales, and the sum itself stays`() throws {
    let (factored, dense) = drawnSum(terms: 4, (3, 4, 2), seed: 8)
    let (u, v) = try #require(factored.scaled(-0.25).factors)
    expectClose(matmul(u, v), dense * -0.25, absolute: 1e-12, relative: 1e-10)
    #expect(abs(factored.norm - dense.norm().item) < 1e-10 * dense.norm().item)
  }

  @Test(arguments: shapes.indices, [1, 3, 20])
  func `truncation keeps the largest singular values, and errs by the others`(
    index: Int, terms: Int
  ) throws {
    let (factored, dense) = drawnSum(terms: terms, shapes[index], seed: 11)
    let values = svd(dense).s.doubles
    var former = Double.infinity
    for rank in 0...values.count {
      let error: Double
      if let (u, v) = factored.truncated(toRank: rank, droppingUpTo: 1e-12) {
        #expect(u.size(1) <= rank)
        error = (dense - matmul(u, v)).norm().item
      } else {
        error = factored.norm
      }
      let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(error - expected) <= 1e-5 * factored.norm + 1e-12, "rank \(rank)")
      #expect(error <= former + 1e-12)
      former = error
    }
    let threshold = try #require(values.first)
    #expect(factored.truncated(toRank: .max, droppingUpTo: threshold * 1.001) == nil)
    try Tensor.check()
  }

  @Test(arguments: shapes.indices)
  func `inner products, and products with a thin matrix, are those of the matrices`(
    index: Int
  ) throws {
    let (first, dense) = drawnSum(terms: 3, shapes[index], seed: 21)
    let (second, other) = drawnSum(terms: 30, shapes[index], seed: 22)
    let expected = (dense * other).sum().item
    let scale = dense.norm().item * other.norm().item
    #expect(abs(first.inner(with: second) - expected) <= 1e-12 * scale)
    #expect(abs(second.inner(with: first) - expected) <= 1e-12 * scale)
    var stream = RandomStream(seed: 23)
    let thin = drawn([2, shapes[index].1], &stream)
    let product = try #require(first.times(transposed: thin))
    expectClose(
      product, matmul(dense, thin.to(.float64).matrixTransposed), absolute: 1e-11, relative: 1e-9)
  }

  @Test func `truncations are nested: a lower rank is the leading part of a higher one`() throws {
    let (sum, _) = drawnSum(terms: 4, (12, 9, 2), seed: 31)
    let whole = try #require(sum.truncated(toRank: 6))
    let gram = matmul(whole.v, whole.v.matrixTransposed)
    let identity = Tensor.range(0, 6).oneHot(classes: 6).to(.float64)
    expectClose(gram, identity, absolute: 1e-12, relative: 0)
    let lengths = matmul(whole.u.matrixTransposed, whole.u)
    expectClose(lengths * (1 - identity), identity.zerosLike, absolute: 1e-10, relative: 0)
    for rank in 1..<6 {
      let part = try #require(sum.truncated(toRank: rank))
      expectClose(part.u, whole.u.sliced(1, 0..<rank), absolute: 1e-12, relative: 1e-10)
      expectClose(part.v, whole.v.sliced(0, 0..<rank), absolute: 1e-12, relative: 1e-10)
    }
  }

  @Test(arguments: [(90, 70, 2), (70, 90, 8), (80, 80, 16)])
  func `a low rank of a large inner dimension comes from Gram matrices, and is the same`(
    rows: Int, columns: Int, terms: Int
  ) throws {
    let (sum, dense) = drawnSum(terms: terms, (rows, columns, 64 / terms), seed: 41)
    let values = svd(dense).s.doubles
    for rank in [1, 5, 16] {
      let (u, v) = try #require(sum.truncated(toRank: rank))
      let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
      let error = (dense - matmul(u, v)).norm().item
      #expect(abs(error - expected) < 1e-9 * dense.norm().item)
      let identity = Tensor.range(0, rank).oneHot(classes: rank).to(.float64)
      expectClose(matmul(v, v.matrixTransposed), identity, absolute: 1e-10, relative: 0)
      let lengths = Tensor(values.prefix(rank).map { $0 * $0 }, shape: [1, rank])
      expectClose(
        matmul(u.matrixTransposed, u), identity * lengths, absolute: 1e-7 * values[0] * values[0],
        relative: 0)
    }
    // Of fewer directions than were asked for there are no more.
    var stream = RandomStream(seed: 1)
    var thin = FactoredSum()
    let (b, a) = (drawn([rows, 3], &stream), drawn([3, columns], &stream))
    for _ in 0..<32 { thin.add(b: b, a: a, weight: 0.5) }
    let (u, v) = try #require(thin.truncated(toRank: 8))
    #expect(u.size(1) == 3)
    expectClose(
      matmul(u, v), matmul(b.to(.float64), a.to(.float64)) * 16, absolute: 1e-9, relative: 1e-9)
    try Tensor.check()
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `what the product of the means misses has one term less, and needs no decomposition`(
    seed: UInt64
  ) throws {
    var stream = RandomStream(seed: seed)
    let shares = [0.1, 0.2, 0.3, 0.4]
    let factors = shares.map { _ in
      (b: drawn([9, 2], &stream, dtype: .float64), a: drawn([2, 7], &stream, dtype: .float64))
    }
    var sum = FactoredSum()
    for (share, (b, a)) in zip(shares, factors) { sum.add(b: b, a: a, weight: share) }
    func mean(_ part: (Int) -> Tensor) -> Tensor {
      stacked(shares.indices.map { part($0) * shares[$0] }).sum([0])
    }
    let (b, a) = (mean { factors[$0].b }, mean { factors[$0].a })
    let residual = sum.residual(b: b, a: a)
    #expect(residual.inner == 6)
    let (u, v) = try #require(residual.factors)
    let expected = mean { matmul(factors[$0].b, factors[$0].a) } - matmul(b, a)
    expectClose(matmul(u, v), expected, absolute: 1e-12, relative: 1e-9)
    // Terms of other ranks: the sum less the product.
    sum.add(b: drawn([9, 3], &stream), a: drawn([3, 7], &stream), weight: 0)
    let (otherU, otherV) = try #require(sum.residual(b: b, a: a).factors)
    expectClose(matmul(otherU, otherV), expected, absolute: 1e-12, relative: 1e-9)
  }

  @Test func `the empty sum has norm 0 and no factors`() {
    #expect(FactoredSum().isEmpty)
    #expect(FactoredSum().norm == 0)
    #expect(FactoredSum().factors == nil)
  }
}

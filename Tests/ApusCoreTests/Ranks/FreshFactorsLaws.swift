import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

private let pair = FactorPair(site: "q", a: "A", b: "B", scaling: 2)

/// A server's setting over one site of shape [8, 10] and rank 3.
private func makeSetting(_ seed: UInt64 = 1) -> ServerSetting {
  var stream = RandomStream(seed: seed)
  return ServerSetting(
    initial: NamedTensors(["A": drawn([3, 10], &stream), "B": .zeros([8, 3])]),
    factorPairs: [pair], aggregation: Aggregation(), random: RandomStream(seed: seed),
    weights: NamedTensors(["q": drawn([8, 10], &stream)]))
}

/// A decomposition of this many singular values, and the matrix.
private func decomposition(_ count: Int) throws -> (leading: NamedTensors, matrix: Tensor) {
  var stream = RandomStream(seed: 8)
  let sum = FactoredSum(b: drawn([8, count], &stream), a: drawn([count, 10], &stream))
  let parts = try #require(sum.truncated(toRank: .max))
  let (u, v) = (parts.u.to(.float32), parts.v.to(.float32))
  return (NamedTensors(["q.u": u, "q.v": v]), matmul(parts.u, parts.v))
}

@Suite struct FreshFactorsLaws {
  @Test func `before any training A is as drawn, and B zero`() throws {
    let setting = makeSetting()
    let fresh = FreshFactors(setting)
    #expect(fresh.adapterRank == 3)
    let a = try #require(setting.initial["A"])
    for rank in [1, 3, 6, 20] {
      let kept = min(rank, 8)
      let found = fresh.factors(of: pair, rank: rank, leading: NamedTensors())
      let factors = try #require(found)
      #expect(factors.a.shape == [kept, 10] && factors.b.shape == [8, kept])
      #expect(!factors.b.anyTrue)
      let leading = factors.a.sliced(0, 0..<min(kept, 3)).contiguous()
      #expect(leading.isIdentical(to: a.sliced(0, 0..<min(kept, 3)).contiguous()))
      #expect(factors.a.norm([1]).min().item > 0)
    }
  }

  @Test(arguments: [1, 2, 5, 8])
  func `s·BA is the best approximation of the rank, with rows of A that are orthonormal`(
    count: Int
  ) throws {
    let (leading, matrix) = try decomposition(count)
    let values = svd(matrix).s.doubles
    let fresh = FreshFactors(makeSetting())
    for rank in 1...8 {
      let found = fresh.factors(of: pair, rank: rank, leading: leading)
      let (a, b) = try #require(found)
      let scaling = 2 * 3 / Double(rank)
      let error = (matrix - matmul(b, a).to(.float64) * scaling).norm().item
      let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(error - expected) < 1e-5 * matrix.norm().item)
      let identity = Tensor.range(0, rank).oneHot(classes: rank).to(.float32)
      expectClose(matmul(a, a.matrixTransposed), identity, absolute: 1e-5, relative: 0)
      let lengths = matmul(b.matrixTransposed, b) * (1 - identity)
      expectClose(lengths, identity.zerosLike, absolute: 1e-4, relative: 0)
    }
  }

  @Test func `principal factors are the largest singular values, shared alike on both sides`()
    throws
  {
    let setting = makeSetting()
    let factors = try setting.principalFactors()
    let (a, b) = (try #require(factors["A"]), try #require(factors["B"]))
    let (u, s, vt) = svd(try #require(setting.weights["q"]).to(.float64))
    let values = s.doubles.prefix(3).map { $0 / 2 }
    let diagonal =
      Tensor.range(0, 3).oneHot(classes: 3).to(.float64) * Tensor(Array(values), shape: [1, 3])
    expectClose(matmul(a, a.matrixTransposed), diagonal, absolute: 1e-5, relative: 1e-5)
    expectClose(matmul(b.matrixTransposed, b), diagonal, absolute: 1e-5, relative: 1e-5)
    let top = matmul(u.sliced(1, 0..<3) * s.sliced(0, 0..<3), vt.sliced(0, 0..<3))
    expectClose(matmul(b, a) * 2, top, absolute: 1e-5, relative: 1e-5)
  }

  @Test func `without the frozen weight there are no principal factors`() {
    let setting = makeSetting()
    let blind = ServerSetting(
      initial: setting.initial, factorPairs: setting.factorPairs, aggregation: Aggregation())
    let error = #expect(throws: ApusError.self) { try blind.principalFactors() }
    #expect(error?.code == .unsupported)
  }
}

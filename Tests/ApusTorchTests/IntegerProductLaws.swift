import ApusBase
import ApusTorch
import Testing

@Suite struct IntegerProductLaws {
  private func normal(_ shape: [Int], seed: UInt64) -> Tensor {
    var stream = RandomStream(seed: seed)
    return Tensor.normal(shape, stream: &stream)
  }

  private func codes(_ shape: [Int], seed: UInt64) -> Tensor {
    (normal(shape, seed: seed) * 60).clamped(low: -127, high: 127).rounded
  }

  @Test(arguments: [(1, 1, 1), (3, 70, 5), (130, 384, 33), (5, 2_500, 7)])
  func `sums are exact, by bytes and by floats`(rows: Int, depth: Int, columns: Int) {
    let (a, b) = (codes([rows, depth], seed: 1), codes([depth, columns], seed: 2))
    let exact = matmul(a.to(.float64), b.to(.float64))
    for throughFloats in [false, true] {
      let found = integerProduct(a.to(.int8), b.to(.int8), throughFloats: throughFloats)
      #expect(found.dtype == .int32)
      #expect(found.to(.float64).isIdentical(to: exact))
    }
  }

  @Test(arguments: [127.0, -127])
  func `the largest codes do not overflow`(sign: Double) {
    let a = Tensor.full([2, 4_096], 127).to(.int8)
    let b = Tensor.full([4_096, 3], sign).to(.int8)
    for throughFloats in [false, true] {
      let found = integerProduct(a, b, throughFloats: throughFloats)
      #expect(found.ints == Array(repeating: 127 * Int(sign) * 4_096, count: 6))
    }
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `rows that are codes lose nothing`(dtype: DType) {
    // The largest element of every row is 127, so that its scale is 1; 0.5 moves the matrix' own.
    let (x, w) = (codes([131, 40], seed: 3), codes([24, 40], seed: 4))
    let full = Tensor.full([131, 1], 127)
    let rows = concatenated([full, x.sliced(1, 1..<40)], dim: 1).to(dtype)
    let edges = concatenated([Tensor.full([24, 1], -127), w.sliced(1, 1..<40)], dim: 1) * 0.5
    let bias = normal([24], seed: 5)
    let found = W8A8Matrix(edges).product(rows, bias: bias)
    #expect(found.dtype == dtype)
    let exact = linear(rows.to(.float64), weight: edges.to(.float64), bias: bias.to(.float64))
    let bound = exact.magnitude * (dtype == .float32 ? 1e-6 : 8e-3)
    #expect(((found.to(.float64) - exact).magnitude .<= bound).allTrue)
  }

  @Test(arguments: [DType.float32, .bfloat16])
  func `products and their gradients are within two roundings a factor`(dtype: DType) throws {
    let matrix = normal([30, 96], seed: 6) * 0.05
    let packed = W8A8Matrix(matrix)
    let x = normal([4, 37, 96], seed: 7).to(dtype).requiringGradient()
    let found = packed.product(x, bias: nil)
    #expect(found.shape == [4, 37, 30])
    let exact = linear(x.detached().to(.float32), weight: packed.unpacked(.float32))
    expectNear(found.detached(), exact)
    let slope = normal([4, 37, 30], seed: 8).to(dtype)
    let gradient = try #require(
      Tensor.gradients(of: [found], seeds: [slope], by: [x])[0])
    #expect(gradient.dtype == dtype)
    expectNear(gradient, matmul(slope.to(.float32), packed.unpacked(.float32)))
  }

  /// The square root of the mean squared error is below 2 % of that of the numbers.
  private func expectNear(_ found: Tensor, _ exact: Tensor) {
    let error = (found.to(.float32) - exact).squared.mean().item / exact.squared.mean().item
    #expect(error > 0 && error < 4e-4)
  }

  @Test func `a product is linear, so its gradient's own is the product`() throws {
    let packed = W8A8Matrix(normal([12, 20], seed: 9))
    let x = normal([3, 20], seed: 10).requiringGradient()
    let slope = normal([3, 12], seed: 11).requiringGradient()
    let gradient = try #require(
      Tensor.gradients(
        of: [packed.product(x, bias: nil)], seeds: [slope], by: [x], createGraph: true)[0])
    let direction = normal([3, 20], seed: 12)
    let second = try #require(
      Tensor.gradients(of: [gradient], seeds: [direction], by: [slope])[0])
    #expect(second.isIdentical(to: packed.product(direction, bias: nil)))
  }

  @Test func `a row does not depend on those beside it`() {
    let packed = W8A8Matrix(normal([50, 64], seed: 13))
    let x = normal([300, 64], seed: 14)
    let all = packed.product(x, bias: nil)
    for row in [0, 127, 128, 299] {
      let alone = packed.product(x.sliced(0, row..<(row + 1)), bias: nil)
      #expect(alone.isIdentical(to: all.sliced(0, row..<(row + 1))))
    }
  }

  @Test func `what is not finite stays so, and nothing else is touched`() {
    let packed = W8A8Matrix(normal([6, 8], seed: 15))
    for bad in [Double.nan, .infinity, -.infinity] {
      let rows = concatenated([Tensor.full([1, 8], bad), normal([1, 8], seed: 16)])
      let found = packed.product(rows, bias: nil)
      #expect((.!found.sliced(0, 0..<1).isFinite).allTrue)
      #expect(found.sliced(0, 1..<2).isFinite.allTrue)
    }
  }

  @Test func `zeros, tiny numbers and no rows are products too`() {
    let packed = W8A8Matrix(normal([6, 8], seed: 17))
    #expect(packed.product(Tensor.zeros([2, 8]), bias: nil).isIdentical(to: Tensor.zeros([2, 6])))
    #expect(packed.product(Tensor.full([2, 8], 1e-40), bias: nil).isFinite.allTrue)
    #expect(packed.product(Tensor.zeros([0, 8]), bias: nil).shape == [0, 6])
  }
}

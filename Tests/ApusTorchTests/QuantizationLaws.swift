import ApusBase
import ApusTorch
import Testing

@Suite struct QuantizationLaws {
  private func matrix(_ rows: Int, _ columns: Int, seed: UInt64 = 1) -> Tensor {
    var stream = RandomStream(seed: seed)
    return Tensor.normal([rows, columns], deviation: 0.05, stream: &stream)
  }

  @Test(arguments: [(7, 13), (64, 96), (3, 1), (129, 257)])
  func `int8 is off by half a step of its row at most`(rows: Int, columns: Int) {
    let exact = matrix(rows, columns)
    let packed = Int8Matrix(exact)
    let error = (packed.unpacked(.float32) - exact).magnitude
    let step = exact.magnitude.max([1], keepDims: true) / 127
    #expect((error .<= step * 0.500_1).allTrue)
    #expect(packed.byteCount == rows * columns + 4 * rows)
  }

  @Test(arguments: [(7, 13), (64, 96), (3, 1), (129, 257)])
  func `nf4 is off by half of its widest gap at most, in a seventh of the bytes`(
    rows: Int, columns: Int
  ) {
    let exact = matrix(rows, columns)
    let packed = NF4Matrix(exact)
    let found = packed.unpacked(.float32)
    #expect(found.shape == [rows, columns])
    // Half of the gap from −1 to −0.696, and what the scales themselves lost.
    #expect((found - exact).magnitude.max().item < 0.18 * exact.magnitude.max().item)
    if rows * columns > 4_096 { #expect(packed.byteCount * 7 < exact.byteCount) }
    // On the whole much less: four bits of a normal distribution keep 99 % of its variance.
    if rows * columns > 4_096 {
      let share = (found - exact).squared.sum().item / exact.squared.sum().item
      #expect(share < 0.012)
    }
  }

  @Test(arguments: Quantization.allCases)
  func `zeros stay zeros`(kind: Quantization) {
    guard let packed = kind.packed(Tensor.zeros([5, 70])) else { return #expect(kind == .none) }
    #expect(packed.unpacked(.float32).isIdentical(to: Tensor.zeros([5, 70])))
  }

  @Test func `nf4's own values come back`() {
    let unpacked = NF4Matrix(matrix(8, 64)).unpacked(.float32)
    // One scale for all blocks, so that it loses nothing itself.
    let row = unpacked[0] / unpacked[0].magnitude.max().item
    let same = stacked(Array(repeating: row, count: 8))
    let again = NF4Matrix(same).unpacked(.float32)
    #expect((again - same).magnitude.max().item < 1e-6)
  }

  @Test(arguments: [Quantization.int8, .nf4], [DType.float32, .bfloat16])
  func `products and their gradients are those of the unpacked matrix`(
    kind: Quantization, dtype: DType
  ) throws {
    let packed = try #require(kind.packed(matrix(6, 70)))
    let plain = packed.unpacked(dtype)
    #expect(plain.dtype == dtype)
    let x = matrix(5, 70, seed: 2).to(dtype).requiringGradient()
    let (a, b) = (packed.product(x, bias: nil), linear(x, weight: plain))
    #expect(a.isIdentical(to: b))
    let (da, db) = (
      a.squared.sum().gradients(by: [x])[0], b.squared.sum().gradients(by: [x])[0]
    )
    let gap = (try #require(da) - (try #require(db))).magnitude.max().item
    #expect(gap <= (dtype == .float32 ? 1e-6 : 1e-2))
  }
}

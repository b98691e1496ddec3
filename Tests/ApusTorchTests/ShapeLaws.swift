import ApusBase
import ApusTestSupport
import ApusTorch
import Testing

@Suite struct ShapeLaws {
  private let x = Tensor.range(0, 24, dtype: .float32).reshaped([2, 3, 4])

  @Test func `joining undoes cutting`() throws {
    for dim in 0..<3 {
      let middle = x.size(dim) / 2
      let halves = [x.sliced(dim, 0..<middle), x.sliced(dim, middle..<x.size(dim))]
      #expect(concatenated(halves, dim: dim).isIdentical(to: x))
      let slices = (0..<x.size(dim)).map { x.selected(dim, $0) }
      #expect(stacked(slices, dim: dim).isIdentical(to: x))
      #expect(x.flipped(dim).flipped(dim).isIdentical(to: x))
      #expect(x.unsqueezed(dim).squeezed(dim).isIdentical(to: x))
    }
    try Tensor.check()
  }

  @Test func `axes move without losing elements`() throws {
    #expect(x.reshaped([-1]).reshaped([2, 3, 4]).isIdentical(to: x))
    #expect(x.permuted([2, 0, 1]).permuted([1, 2, 0]).isIdentical(to: x))
    #expect(x.transposed(0, 2).shape == [4, 3, 2])
    #expect(!x.transposed(0, 2).isContiguous)
    #expect(x.transposed(0, 2).contiguous().isContiguous)
    #expect(x.matrixTransposed[1][2].floats == [14, 18, 22])
    #expect(Tensor.ones([1, 3]).expanded([4, -1]).sum().item == 12)
    #expect(x.padded([1, 2, 0, 1], value: 7).shape == [2, 4, 7])
    #expect(x.padded([1, 0])[0][0].floats == [0, 0, 1, 2, 3])
    try Tensor.check()
  }

  @Test func `gathering reads what scattering wrote, and rows add up`() throws {
    let index = Tensor([2, 0, 1, 3], shape: [2, 2])
    let source = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
    let written = Tensor.zeros([2, 4]).scattered(1, index, source)
    #expect(written.gathered(1, index).isIdentical(to: source))
    let rows = Tensor([1, 0, 1], shape: [3])
    let values = drawn([3, 5], seed: 1)
    expectClose(
      Tensor.zeros([2, 5]).indexAdded(0, rows, values),
      matmul(rows.oneHot(classes: 2).to(.float32).matrixTransposed, values), absolute: 1e-6,
      relative: 1e-6)
    #expect(x.lowerTriangle().isIdentical(to: x - x.upperTriangle(diagonal: 1)))
    try Tensor.check()
  }

  @Test(arguments: DType.allCases)
  func `small whole numbers survive every dtype`(dtype: DType) throws {
    let numbers = Tensor([0, 1, 1, 0], shape: [2, 2])
    let converted = numbers.to(dtype)
    #expect(converted.dtype == dtype)
    #expect(converted.byteCount == 4 * dtype.byteCount)
    #expect(converted.to(.int64).isIdentical(to: numbers))
    #expect(converted.ints == [0, 1, 1, 0])
    #expect(Tensor.ones([], dtype: dtype).item == 1)
    try Tensor.check()
  }

  @Test func `conversion rounds to nearest even, and cuts towards zero for integers`() throws {
    let x = Tensor([1.00390625, 1.01171875, -2.75, .infinity] as [Float], shape: [4])
    #expect(x.to(.bfloat16).floats == [1, 1.015625, -2.75, .infinity])
    #expect(x.sliced(0, 0..<3).to(.int32).ints == [1, 1, -2])
    #expect(Tensor([70_000] as [Float], shape: [1]).to(.float16).floats == [.infinity])
    try Tensor.check()
  }

  @Test func `impossible shapes and bytes are failures, not crashes`() throws {
    let wrong: [() -> Tensor] = [
      { x.reshaped([5, 5]) }, { x.permuted([0, 0, 1]) }, { x.selected(0, 9) },
      { x.squeezed(7) }, { Tensor.full([-1], 0) }, { Tensor.full([Int.max, Int.max], 0) },
      { Tensor([1, 2] as [Float], shape: [3]) }, { concatenated([]) },
      { Tensor([1] as [Float], shape: [Int.max, 2]) }, { Tensor([] as [Float], shape: [0, -1]) },
      { x.indexSelected(0, Tensor([5], shape: [1])) }, { x + Tensor.ones([5]) },
      { embedding(Tensor.ones([2, 2]), Tensor([7], shape: [1])) }, { x.to(device: .cuda(99)) },
      { crossEntropy(Tensor.ones([1, 2]), Tensor([5], shape: [1])) },
    ]
    for (index, make) in wrong.enumerated() {
      #expect(!make().isDefined, "case \(index)")
      #expect(throws: ApusError.self, "case \(index)") { try Tensor.check() }
    }
  }
}

import ApusBase
import ApusTorch
import Testing

@Suite struct TensorLaws {
  @Test func `a failing operation records its first message and throws it at the check`() throws {
    let broken = matmul(Tensor.zeros([2, 3]), Tensor.zeros([4, 5]))
    let later = broken + 1
    #expect(!broken.isDefined)
    #expect(!later.isDefined)
    let error = #expect(throws: ApusError.self) { try Tensor.check("step 3") }
    #expect(error?.location == "step 3")
    #expect(error?.problem.contains("matmul") == true)
    try Tensor.check()
  }

  @Test func `a scalar never changes the dtype`() {
    for dtype in [DType.int64, .int32, .uint8, .bfloat16, .float16, .float32, .float64] {
      let x = Tensor.ones([3], dtype: dtype)
      #expect((x * 2).dtype == dtype)
      #expect((x + 1).floats == [2, 2, 2])
    }
  }
}

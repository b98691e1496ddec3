import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct NamedTensorsLaws {
  @Test(arguments: 0..<20 as Range<UInt64>)
  func `walks go by the names' bytes, in whatever order tensors came`(seed: UInt64) {
    let sorted = ["", "A", "Z", "_", "a", "a.10", "a.2", "a.2.b", "ab", "é", "あ", "😀"]
    var stream = RandomStream(seed: seed)
    var tensors = NamedTensors()
    for (index, name) in stream.shuffled(sorted).enumerated() {
      tensors[name] = Tensor.full([1], Double(index))
    }
    #expect(tensors.names == sorted)
    #expect(tensors.map(\.name) == sorted)
    let expected = sorted.compactMap { tensors[$0]?.item }
    #expect(tensors.map(\.tensor.item) == expected)
    #expect(tensors.tensors.map(\.item) == expected)
    #expect(tensors.count == sorted.count)
  }

  @Test func `removing, replacing and merging keep names and tensors together`() {
    var tensors = NamedTensors(["b": .ones([2]), "a": .ones([1])])
    tensors["a"] = nil
    tensors["never there"] = nil
    #expect(tensors.names == ["b"])
    tensors["b"] = .zeros([3])
    #expect(tensors.names == ["b"])
    #expect(tensors.elementCount == 3)
    let merged = tensors.merging(NamedTensors(["b": .ones([4]), "c": .ones([5])]))
    #expect(merged.names == ["b", "c"])
    #expect(merged["b"]?.shape == [4])
    #expect(merged.filtered { $0 == "c" }.names == ["c"])
    #expect(merged.mapValues { $0 * 2 }["c"]?.sum().item == 10)
  }

  @Test func `copies have memory of their own and no graph`() {
    let original = NamedTensors(["x": Tensor.ones([2]).requiringGradient()])
    let copy = original.copied()
    #expect(copy["x"]?.requiresGradient == false)
    copy["x"]?.fillInPlace(5)
    #expect(original["x"]?.floats == [1, 1])
  }

  @Test func `identity asks for names, shapes, types and every bit`() {
    let base = NamedTensors(["x": Tensor([0, .nan] as [Float], shape: [2])])
    #expect(base.isIdentical(to: base.copied()))
    for other in [
      Tensor([-0.0, .nan] as [Float], shape: [2]), Tensor([0, .nan] as [Float], shape: [2, 1]),
      Tensor([0, .nan] as [Double], shape: [2]),
    ] {
      #expect(!base.isIdentical(to: NamedTensors(["x": other])))
    }
    #expect(!base.isIdentical(to: NamedTensors()))
    #expect(!base.isIdentical(to: base.merging(NamedTensors(["y": .ones([1])]))))
  }

  @Test func `the first tensor that is not finite is named`() {
    let infinite = Tensor([1, -.infinity] as [Float], shape: [2])
    let tensors = NamedTensors([
      "a": .ones([2]), "b": infinite, "c": .full([1], .nan), "ids": .range(0, 3),
      "none": .zeros([0]),
    ])
    #expect(tensors.firstNonFinite == "b")
    #expect(tensors.filtered { $0 > "b" }.firstNonFinite == "c")
    #expect(tensors.filtered { $0 != "b" && $0 != "c" }.firstNonFinite == nil)
  }

  @Test func `the tensor that does not fit is named, with both shapes`() {
    let expected = NamedTensors(["a": .ones([2, 3]), "b": .ones([4])])
    func refusal(_ found: [String: Tensor]) -> ApusError? {
      do {
        try NamedTensors(found).requireShapes(of: expected, at: "round 2, client 5")
        return nil
      } catch { return error }
    }
    #expect(refusal(["a": .zeros([2, 3]), "b": .zeros([4])]) == nil)
    let missing = refusal(["a": .ones([2, 3])])
    #expect(missing?.location == "round 2, client 5, b")
    #expect(missing?.problem.contains("missing") == true)
    let misshaped = refusal(["a": .ones([3, 2]), "b": .ones([4])])
    #expect(misshaped?.location == "round 2, client 5, a")
    #expect(misshaped?.problem == "expected shape [2, 3], got [3, 2]")
    let extra = refusal(["a": .ones([2, 3]), "b": .ones([4]), "c": .ones([1])])
    #expect(extra?.location == "round 2, client 5, c")
    for error in [missing, misshaped, extra] { #expect(error?.code == .shapeMismatch) }
  }
}

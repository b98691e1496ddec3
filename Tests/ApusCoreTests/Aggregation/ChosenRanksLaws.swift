import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

@Suite struct ChosenRanksLaws {
  private let pairs = ["p", "q"].map {
    FactorPair(site: $0, a: "\($0).lora_A.weight", b: "\($0).lora_B.weight", scaling: 1)
  }
  private let values: NamedTensors
  private let selection = RankSelection(scores: [[0, 1, 2], [0, 0]], count: 2)

  init() {
    var stream = RandomStream(seed: 1)
    values = NamedTensors([
      "p.lora_A.weight": drawn([3, 4], &stream), "p.lora_B.weight": drawn([5, 3], &stream),
      "q.lora_A.weight": drawn([2, 6], &stream), "q.lora_B.weight": drawn([7, 2], &stream),
    ])
  }

  @Test(arguments: [TensorRoles.a, .b])
  func `what is unpacked is what the mask leaves`(role: TensorRoles) throws {
    let ranks = ChosenRanks(role, of: pairs, in: values)
    #expect(ranks.total == 5)
    let factors = values.filtered(role)
    let packed = ranks.packed(factors, selection)
    // The second site has no chosen rank, and sends nothing but its absence.
    #expect(packed.names == [role == .a ? pairs[0].a : pairs[0].b, "selection"])
    #expect(packed["selection"]?.ints == [1, 2])
    let masks = ranks.mask(selection)
    var expected = factors
    for (name, value) in factors { expected[name] = masks[name].map { value * $0 } }
    let whole = try ranks.unpacked(packed, like: factors, count: 2, at: "update")
    expectClose(whole, expected, absolute: 0, relative: 0)
  }

  @Test func `what does not go with the selection is refused`() throws {
    let ranks = ChosenRanks(.b, of: pairs, in: values)
    let packed = ranks.packed(values, selection)
    let name = pairs[0].b
    for (changed, tensor) in [
      ("selection", Tensor([2, 1], shape: [2])), ("selection", Tensor([1], shape: [1])),
      ("selection", Tensor([1, 9], shape: [2])), ("selection", Tensor.ones([2])),
      (name, Tensor.zeros([5, 3])), (pairs[1].b, Tensor.zeros([7, 1])),
    ] {
      var wrong = packed
      wrong[changed] = tensor
      #expect(throws: ApusError.self, "\(changed)") {
        try ranks.unpacked(wrong, like: values.filtered(.b), count: 2, at: "update")
      }
    }
    for missing in [name, "selection"] {
      var wrong = packed
      wrong[missing] = nil
      #expect(throws: ApusError.self, "\(missing)") {
        try ranks.unpacked(wrong, like: values.filtered(.b), count: 2, at: "update")
      }
    }
  }
}

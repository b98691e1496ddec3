import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct TensorRolesLaws {
  @Test(arguments: [
    ("base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight", TensorRoles.a),
    ("base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight", .b),
    ("lora_A.weight", .a), ("query.lora_B.bias", .b), ("base_model.model.classifier.weight", .head),
    ("query.bias", .head), ("my_lora_A.weight", .head), ("query.lora_a.weight", .head), ("", .head),
  ])
  func `a name tells its role by a whole part of the path`(name: String, role: TensorRoles) {
    #expect(TensorRoles(of: name) == role)
    #expect(role.contains(named: name))
    #expect(TensorRoles.all.contains(named: name))
    #expect(!TensorRoles.all.subtracting(role).contains(named: name))
  }

  @Test func `every tensor has exactly one role`() {
    let tensors = NamedTensors([
      "q.lora_A.weight": .ones([1]), "q.lora_B.weight": .ones([2]), "head.bias": .ones([3]),
    ])
    let parts = [TensorRoles.a, .b, .head].map { tensors.filtered($0) }
    #expect(parts.map(\.names) == [["q.lora_A.weight"], ["q.lora_B.weight"], ["head.bias"]])
    #expect(tensors.filtered(.all).isIdentical(to: tensors))
    #expect(tensors.filtered([]).isEmpty)
  }

  @Test func `the factors alternate by the round's index, and B goes first`() {
    let root = RandomStream(seed: 1)
    let turns = (0..<4).map { TensorRoles.alternating(in: Round(index: $0, total: 4, root: root)) }
    #expect(turns == [.b, .a, .b, .a])
    #expect(TensorRoles.alternating(in: Round(index: 3, total: 99, root: root)) == .a)
  }
}

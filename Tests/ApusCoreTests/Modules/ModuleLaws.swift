import ApusBase
import ApusTorch
import Testing

@testable import ApusCore

/// Children of every kind that a checkpoint's tree can have.
private class Base: Module {
  let embedding = Embedding(3, 2)
  @Key("self") var attention = ProjectionSite(2, 2)
}

private final class Tree: Base {
  let layer: [Linear]
  let maybe: Linear? = Linear(2, 1, bias: false)
  let absent: Linear? = nil
  let token = Parameter(1, 2)
  let extra: Parameter? = Parameter(5)
  @Key("LayerNorm.0") var norm = LayerNorm(2, epsilon: 1e-5)
  @Key("layers") var more = [LayerNorm(1, epsilon: 1e-5)]
  @Key("gone") var gone: Parameter? = nil
  let dropout = Dropout(0.1)
  let heads = 2
  let none: [Int] = []
  let residual = ResidualSite()
  let sequence = SequenceSite()
  let keys = AttentionSite()

  override init() {
    layer = [Linear(2, 2), Linear(2, 2, bias: false)]
    super.init()
  }
}

private let treeKeys = [
  "embedding.weight", "self.weight", "self.bias", "layer.0.weight", "layer.0.bias",
  "layer.1.weight", "maybe.weight", "token", "extra", "LayerNorm.0.weight", "LayerNorm.0.bias",
  "layers.0.weight", "layers.0.bias",
]

private final class Prompt: Module, SequenceAdapter, ResidualAdapter, AttentionAdapter,
  ProjectionAdapter
{
  let down = Linear(2, 1)
  var replacesEarlier: Bool { false }
  func tokens(_ pass: ForwardPass) -> Tensor { .zeros([1, 2]) }
  func adapted(_ branch: Tensor, input: Tensor, pass: ForwardPass) -> Tensor { branch }
  func keysAndValues(_ pass: ForwardPass) -> (keys: Tensor, values: Tensor) {
    (.zeros([1, 1, 2]), .zeros([1, 1, 2]))
  }
  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    output
  }
}

/// The tensors that fit every parameter, each filled with its place in the tree.
private func weights(of module: Module) -> NamedTensors {
  var found = NamedTensors()
  for (index, (key, parameter)) in module.parameters.enumerated() {
    found[key] = .full(parameter.shape, Double(index))
  }
  return found
}

@Suite struct ModuleLaws {
  @Test func `keys are property names, in the order of declaration, superclass first`() {
    let tree = Tree()
    // A superclass's own properties come before those of its subclass.
    #expect(Set(tree.parameters.map(\.key)) == Set(treeKeys))
    #expect(tree.parameters.count == treeKeys.count)
    let direct = tree.parameters.filter { !$0.key.contains(".") }.map(\.key)
    #expect(direct == ["token", "extra"])
  }

  @Test func `a site is invisible in the keys, its base layer is not`() {
    let site = ProjectionSite(2, 3)
    #expect(site.parameters.map(\.key) == ["weight", "bias"])
    var paths: [String] = []
    Tree().walk { path, module in if module is ProjectionSite { paths.append(path) } }
    #expect(paths == ["self"])
  }

  @Test func `attached adapters are no part of the checkpoint`() {
    let tree = Tree()
    let prompt = Prompt()
    tree.residual.adapter = prompt
    tree.sequence.adapter = prompt
    tree.keys.adapter = prompt
    tree.attention.attach(prompt)
    #expect(Set(tree.parameters.map(\.key)) == Set(treeKeys))
  }

  @Test func `loading gives every parameter its tensor, without a copy`() throws {
    let tree = Tree()
    let weights = weights(of: tree)
    try tree.load(weights, file: "model.safetensors")
    for (key, parameter) in tree.parameters {
      #expect(weights[key]?.isIdentical(to: parameter.value) == true, "\(key)")
    }
    weights["token"]?.fillInPlace(-3)
    #expect(tree.token.value.floats == [-3, -3])
  }

  @Test func `missing and unexpected keys are listed, and nothing is loaded`() {
    let tree = Tree()
    var wrong = weights(of: tree)
    wrong["layer.1.weight"] = nil
    wrong["pooler.weight"] = .ones([1])
    let error = #expect(throws: ApusError.self) { try tree.load(wrong, file: "model.safetensors") }
    #expect(error?.code == .checkpointMismatch)
    #expect(error?.location == "model.safetensors")
    #expect(error?.problem.contains("1 missing tensors (layer.1.weight)") == true)
    #expect(error?.problem.contains("1 unexpected tensors (pooler.weight)") == true)
    #expect(tree.token.value.count == 0)
  }

  @Test func `long lists of keys are cut short, but counted`() {
    let error = #expect(throws: ApusError.self) { try Tree().load(NamedTensors(), file: "m") }
    #expect(error?.problem.hasPrefix("\(treeKeys.count) missing tensors (") == true)
    #expect(error?.problem.hasSuffix(", …)") == true)
  }

  @Test func `keys can be ignored or optional`() throws {
    let tree = Tree()
    var partial = weights(of: tree)
    partial["extra"] = nil
    partial["position_ids"] = .ones([1])
    try tree.load(
      partial, file: "m", ignoring: { $0 == "position_ids" }, optional: { $0 == "extra" })
    #expect(tree.extra?.value.count == 0)
    #expect(tree.token.value.count == 2)
  }

  @Test func `a tensor of another shape is named, and nothing is loaded`() {
    let tree = Tree()
    var wrong = weights(of: tree)
    wrong["layer.0.weight"] = .ones([2, 3])
    let error = #expect(throws: ApusError.self) { try tree.load(wrong, file: "model.safetensors") }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.location == "model.safetensors, layer.0.weight")
    #expect(error?.problem.contains("[2, 2]") == true)
    #expect(error?.problem.contains("[2, 3]") == true)
    #expect(tree.embedding.weight.value.count == 0)
  }
}

@Suite struct LayerLaws {
  @Test func `layers compute what their formulas say`() throws {
    let linear = Linear(2, 3)
    #expect((linear.inputs, linear.outputs) == (2, 3))
    linear.weight.value = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [3, 2])
    linear.bias?.value = Tensor([10, 20, 30] as [Float], shape: [3])
    #expect(linear(Tensor([1, -1] as [Float], shape: [1, 2])).floats == [9, 19, 29])

    let table = Embedding(3, 2)
    table.weight.value = Tensor([0, 1, 2, 3, 4, 5] as [Float], shape: [3, 2])
    #expect(table(Tensor([2, 0], shape: [2])).floats == [4, 5, 0, 1])

    let norm = LayerNorm(2, epsilon: 0)
    norm.weight.value = Tensor([2, 2] as [Float], shape: [2])
    norm.bias.value = Tensor([1, 1] as [Float], shape: [2])
    #expect(norm(Tensor([3, 7] as [Float], shape: [1, 2])).floats == [-1, 3])
    try Tensor.check()
  }
}

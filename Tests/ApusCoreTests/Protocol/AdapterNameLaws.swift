import ApusCore
import ApusTorch
import Testing

@Suite struct AdapterNameLaws {
  private let name = "base_model.model.encoder.layer.0.query.lora_A.weight"

  @Test func `a tensor's set and role are told by its name`() {
    for (tensor, adapter, role) in [
      (name, "default", TensorRoles.a), ("local/\(name)", "local", .further),
      ("x.lora_B.weight", "default", .b), ("x.lora_diagonal.weight", "default", .further),
      ("x.adapter_gate.weight", nil, .further), ("base_model.model.classifier.bias", nil, .head),
      ("companion.up.weight", nil, .beside), ("own.generator.slope", nil, .beside),
      ("x.lora_magnitude_vector", "default", .head),
    ] as [(String, String?, TensorRoles)] {
      #expect(AdapterName.of(tensor) == adapter, "\(tensor)")
      #expect(TensorRoles(of: tensor) == role, "\(tensor)")
    }
  }

  @Test func `renaming into a set and filtering by it are inverse`() {
    let tensors = NamedTensors([name: .ones([1]), "head.bias": .zeros([1])])
    let local = tensors.renamed(toAdapter: "local")
    #expect(local.names == ["local/\(name)"])
    #expect(local.renamed(fromAdapter: "local").isIdentical(to: tensors.ofAdapter("default")))
    let all = tensors.merging(local)
    #expect(all.ofAdapter("local").isIdentical(to: local))
    #expect(all.withoutAdapters(["local"]).isIdentical(to: tensors))
    #expect(tensors.renamed(toAdapter: AdapterName.standard).names == [name])
    let pair = FactorPair(site: "q", a: name, b: "b", scaling: 2)
    #expect(pair.inAdapter("local").a == local.names[0])
    #expect(pair.inAdapter(AdapterName.standard) == pair)
  }
}

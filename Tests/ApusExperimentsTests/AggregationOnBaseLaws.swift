import ApusAdapters
import ApusBase
import ApusCore
import ApusExperiments
import ApusMethods
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Laws of adapters that are combined beside the checkpoint on which they were trained.
@Suite struct AggregationOnBaseLaws {
  private let tiny: TinyInstructions
  private var base: URL { tiny.folder.appending(path: "checkpoint") }
  private let batch: TokenBatch

  init() throws {
    tiny = try TinyInstructions()
    batch = try TokenBatch([[2, 8, 9, 6], [2, 7]])
  }

  /// PEFT folders of adapters with these ranks on the checkpoint.
  private func folders(_ ranks: [Int]) throws -> [URL] {
    try ranks.enumerated().map { index, rank in
      let folder = tiny.folder.appending(path: "site\(index)")
      try TinyAdapter.write(to: folder, rank: rank, seed: index, on: base)
      return folder
    }
  }

  private func aggregation(
    _ method: String, _ ranks: [Int], base: URL? = nil
  ) throws -> AdapterAggregation {
    try AdapterAggregation(
      folders(ranks), weights: ranks.indices.map { Double($0 + 1) },
      method: MethodCatalog.entry(method), base: base)
  }

  private func scores(merged folder: URL) throws -> Tensor {
    try Backbone(Checkpoint(folder: folder)).makeLanguageModel().evaluatedLogits(batch)
  }

  private func scores(adapter: AdapterFolder) throws -> Tensor {
    let model = try Backbone(Checkpoint(folder: base)).makeLanguageModel()
    _ = try AdaptedModel(model, adapter)
    return model.evaluatedLogits(batch)
  }

  @Test(arguments: [
    ("fedex-lora", [2, 2, 2]), ("flora", [1, 3, 2]), ("flexlora", [2, 1, 4]),
    ("hetlora", [1, 4, 2]), ("fedit", [3, 3]),
  ])
  func `merged weights give what the adapter gives`(method: String, ranks: [Int]) throws {
    let result = try aggregation(method, ranks, base: base)
    let out = tiny.folder.appending(path: "merged")
    try result.writeMerged(to: out)
    let (merged, adapted) = (try scores(merged: out), try scores(adapter: result.folder))
    expectClose(merged, adapted, absolute: 1e-4)
    #expect(((merged - (try scores(merged: base))).magnitude .> 1e-3).anyTrue)
    let files = try FileManager.default.contentsOfDirectory(atPath: out.path)
    #expect(files.contains("tokenizer.json") && files.contains("config.json"))
  }

  @Test func `FRLoRA takes no adapters of others, as they were not trained beside its base`() throws
  {
    let error = #expect(throws: ApusError.self) { try aggregation("frlora", [2, 2], base: base) }
    #expect(error?.code == .unsupported && error?.problem.contains("principal") == true)
  }

  @Test func `the base changes nothing for methods that do not look at it`() throws {
    let (with, without) = (
      try aggregation("fedex-lora", [2, 2], base: base), try aggregation("fedex-lora", [2, 2])
    )
    #expect(with.folder.tensors.isIdentical(to: without.folder.tensors))
    #expect(with.metrics == without.metrics)
    let error = #expect(throws: ApusError.self) {
      try without.writeMerged(to: tiny.folder.appending(path: "merged"))
    }
    #expect(error?.location == "base")
  }

  @Test func `adapters of another model are refused, by the name of folder and site`() throws {
    let folders = try folders([2, 2])
    let file = folders[1].appending(path: "adapter_model.safetensors")
    let stored = try SafetensorsFile(contentsOf: file)
    let site = try #require(stored.names.first { $0.hasSuffix("q_proj.lora_A.weight") })
    let changed = try stored.names.map { name in
      (name: name, tensor: name == site ? Tensor.ones([2, 7]) : try stored.tensor(name))
    }
    try Safetensors.write(changed, metadata: ["format": "pt"], to: file)
    let error = #expect(throws: ApusError.self) {
      try AdapterAggregation(
        folders, weights: [1, 1], method: MethodCatalog.entry("fedit"), base: base)
    }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.location.contains("site1") == true && error?.problem.contains("[32, 7]") == true)
  }

  @Test func `a base of other shapes is refused, by the names of folder and site`() throws {
    let other = packageRoot.appending(path: "Tests/Fixtures/decoders/llama/tiny")
    let error = #expect(throws: ApusError.self) { try aggregation("fedit", [2, 2], base: other) }
    #expect(error?.code == .shapeMismatch)
    #expect(error?.location.contains("site0, ") == true)
    #expect(error?.location.contains("layers.0.self_attn.q_proj") == true)
  }

  @Test func `adapters of other targets are refused`() throws {
    let folders = try folders([2, 2])
    let file = folders[0].appending(path: "adapter_model.safetensors")
    let stored = try SafetensorsFile(contentsOf: file)
    let kept = try stored.names.filter { !$0.contains("layers.1.self_attn.v_proj") }
      .map { (name: $0, tensor: try stored.tensor($0)) }
    try Safetensors.write(kept, metadata: ["format": "pt"], to: file)
    let error = #expect(throws: ApusError.self) {
      try AdapterAggregation(folders, weights: [1, 1], method: MethodCatalog.entry("flora"))
    }
    #expect(error?.problem.contains("only one of") == true)
  }
}

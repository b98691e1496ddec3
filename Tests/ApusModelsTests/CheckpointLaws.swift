import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct CheckpointLaws {
  let golden: Golden
  init() throws { golden = try Golden() }

  /// A copy of the tiny checkpoint, changed.
  private func withCopy<Result>(
    config change: (inout [String: Any]) -> Void = { _ in },
    tensors rename: (String, Tensor) -> (name: String, tensor: Tensor)? = { ($0, $1) },
    then body: (URL) throws -> Result
  ) throws -> Result {
    try withTemporaryFolder { folder in
      let source = Golden.folder.appending(path: "tiny")
      let json = try JSONSerialization.jsonObject(
        with: Data(contentsOf: source.appending(path: "config.json")))
      var fields = try #require(json as? [String: Any])
      change(&fields)
      try JSONSerialization.data(withJSONObject: fields)
        .write(to: folder.appending(path: "config.json"))
      let file = try SafetensorsFile(contentsOf: source.appending(path: "model.safetensors"))
      let tensors = try file.names.compactMap { rename($0, try file.tensor($0)) }
      try Safetensors.write(tensors, to: folder.appending(path: "model.safetensors"))
      return try body(folder)
    }
  }

  private func logits(_ folder: URL, _ pooling: Pooling = .cls) throws -> Tensor {
    try Backbone(Checkpoint(folder: folder)).makeClassifier(
      labels: 3, pooling: pooling, random: RandomStream(seed: 1)
    ).evaluatedLogits(golden.batch)
  }

  @Test func `keys without prefix, old names of norms and foreign heads are understood`() throws {
    let expected = try golden.file.tensor("logits.cls")
    try withCopy(
      tensors: { name, tensor in
        let bare = name.hasPrefix("bert.") ? String(name.dropFirst(5)) : name
        let old = bare.replacingOccurrences(of: "LayerNorm.weight", with: "LayerNorm.gamma")
        return (old.replacingOccurrences(of: "LayerNorm.bias", with: "LayerNorm.beta"), tensor)
      }, then: { expectClose(try logits($0), expected, absolute: 1e-5, relative: 1e-4) })
    try withCopy(
      tensors: { ($0 == "classifier.bias" ? "cls.predictions.bias" : $0, $1) },
      then: { _ = try logits($0) })
    let mean = try golden.file.tensor("logits.mean")
    try withCopy(
      tensors: { $0.contains("pooler") ? nil : ($0, $1) },
      then: { expectClose(try logits($0, .mean), mean, absolute: 1e-5, relative: 1e-4) })
  }

  @Test(arguments: [DType.float16, .bfloat16])
  func `files of other dtypes are converted`(dtype: DType) throws {
    try withCopy(
      tensors: { ($0, $1.to(dtype)) },
      then: { folder in
        expectClose(
          try logits(folder), try golden.file.tensor("logits.cls"), absolute: 0.05, relative: 0.05)
      })
  }

  @Test(arguments: [
    ("hidden_size", 30 as any Sendable, "heads"), ("hidden_size", -4, "-4"),
    ("num_hidden_layers", 1_000_000_000, "1000"), ("vocab_size", "many", "a string"),
    ("hidden_act", "geluu", "gelu"), ("position_embedding_type", "relative_key", "absolute"),
    ("model_type", "brt", "bert"), ("is_decoder", true, "encoder"),
    ("hidden_dropout_prob", 1.5, "1.5"), ("intermediate_size", 47, "[47"),
    ("num_hidden_layers", 3, "missing"), ("num_hidden_layers", 1, "unexpected"),
    ("id2label", ["0": "a", "2": "b"], "0…1"), ("classifier_pooling", "max", "mean"),
    ("layer_norm_eps", [1], "array"),
  ])
  func `an odd value in config.json is named`(
    field: String, value: any Sendable, told: String
  ) throws {
    try withCopy(
      config: { $0[field] = value },
      then: { folder in
        let error = #expect(throws: ApusError.self) { try logits(folder) }
        #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
      })
  }

  @Test(arguments: ["hidden_size", "vocab_size", "num_attention_heads", "intermediate_size"])
  func `a missing field of config.json is named`(field: String) throws {
    try withCopy(
      config: { $0[field] = nil },
      then: { folder in
        let error = #expect(throws: ApusError.self) { try logits(folder) }
        #expect(error?.location.contains(field) == true)
      })
  }

  @Test func `missing tensors are listed, also those of a file cut short`() throws {
    try withCopy(
      tensors: { $0.contains("pooler") ? nil : ($0, $1) },
      then: { folder in
        let error = #expect(throws: ApusError.self) { try logits(folder) }
        #expect(error?.code == .checkpointMismatch)
        #expect(error?.problem.contains("bert.pooler.dense.bias") == true)
      })
    try withCopy { folder in
      let file = folder.appending(path: "model.safetensors")
      let bytes = try Data(contentsOf: file)
      for count in [0, 7, 100, bytes.count / 2, bytes.count - 1] {
        try bytes.prefix(count).write(to: file)
        #expect(throws: ApusError.self) { try logits(folder) }
      }
    }
    #expect(throws: ApusError.self) { try Checkpoint(folder: URL(filePath: "/nowhere")) }
  }

  @Test func `tokens outside of the tables are refused`() throws {
    let model = try Golden.model()
    let long = Array(repeating: 1, count: 25)
    for (ids, types) in [([96], [0]), ([-1], [0]), ([1], [2]), (long, long.map { _ in 0 })] {
      let batch = try TokenBatch([ids], types: [types])
      #expect(throws: ApusError.self) { try model.check(batch) }
    }
    try model.check(golden.batch)
    #expect(throws: ApusError.self) { try TokenBatch([[1], []]) }
    #expect(throws: ApusError.self) { try TokenBatch([[1, 2]], types: [[0]]) }
    #expect(throws: ApusError.self) { try TokenBatch([]) }
  }

  @Test(arguments: Pooling.allCases)
  func `a written checkpoint opens again with the same bits`(pooling: Pooling) throws {
    let source = try Checkpoint(folder: Golden.folder.appending(path: "tiny"))
    let model = try Golden.model(pooling)
    try withTemporaryFolder { parent in
      let folder = parent.appending(path: "new/model")
      try model.write(to: folder, like: source, labels: ["a", "b", "c"])
      try model.write(to: folder, like: source, labels: ["a", "b", "c"])
      let again = try Checkpoint(folder: folder)
      #expect(again.labels == ["a", "b", "c"])
      #expect(again.pooling == pooling)
      #expect(try logits(folder, pooling).isIdentical(to: model.evaluatedLogits(golden.batch)))
      try Data("mine".utf8).write(to: folder.appending(path: "notes.txt"))
      let error = #expect(throws: ApusError.self) { try model.write(to: folder, like: source) }
      #expect(error?.problem.contains("notes.txt") == true)
      #expect(try FileManager.default.contentsOfDirectory(atPath: parent.path) == ["new"])
    }
  }

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `a written checkpoint opens in transformers`() throws {
    let source = try Checkpoint(folder: Golden.folder.appending(path: "tiny"))
    let model = try Golden.model()
    try withTemporaryFolder { folder in
      try model.write(to: folder, like: source)
      let found = try Oracle.ask(folder, (golden.examples, golden.types)).tensor("logits")
      expectClose(
        model.evaluatedLogits(try golden.batch), found, absolute: 1e-5, relative: 1e-4)
    }
  }
}

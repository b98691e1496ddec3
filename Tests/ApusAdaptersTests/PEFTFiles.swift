import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct PEFTFiles {
  let golden: Golden
  let random = RandomStream(seed: 11)
  static let fixtures = packageRoot.appending(path: "Tests/Fixtures/lora")
  init() throws { golden = try Golden() }

  @Test(arguments: ["plain", "patterns", "bias", "biases", "all-linear", "layers"])
  func `a folder of Python's PEFT gives its logits`(name: String) throws {
    let folder = try AdapterFolder(reading: Self.fixtures.appending(path: name))
    #expect(folder.baseModel == "tiny")
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, folder)
    let logits = try SafetensorsFile(
      contentsOf: Self.fixtures.appending(path: "logits.safetensors"))
    expectClose(
      try model.evaluatedLogits(golden.batch), try logits.tensor(name), absolute: 1e-5,
      relative: 1e-4)
    // Read, written and read again: the same tensors under the same names.
    #expect(adapted.storedValues.isIdentical(to: folder.tensors))
  }

  static let cases: [(name: String, configuration: AdapterConfiguration)] = [
    ("plain", lora { ($0.rank, $0.alpha) = (3, 6) }),
    ("frozen head", lora { $0.modulesToSave = [] }),
    (
      "patterns",
      lora {
        $0.targets = .expression(#".*\.(key|dense)"#)
        $0.excludes = .names(["pooler.dense"])
        $0.useRSLoRA = true
        $0.rankPattern = ["layer.0.attention.self.key": 2]
        $0.alphaPattern = [#"layer\.\d\.output\.dense"#: 3]
      }
    ),
    ("bias", lora { $0.bias = .adapted }), ("biases", lora { $0.bias = .all }),
    ("all", lora { ($0.targets, $0.modulesToSave) = (.allLinear, ["classifier", "pooler"]) }),
    ("layers", lora { $0.layers = [0] }),
  ]

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `folders of Apus give their logits in Python's PEFT`() throws {
    try withTemporaryFolder { parent in
      let notes = AdapterNotes(pooling: "cls", labels: ["a", "b", "c"], maxLength: 24)
      var folders: [URL] = []
      var expected: [Tensor] = []
      for (index, (name, configuration)) in Self.cases.enumerated() {
        let model = try Golden.model()
        let adapted = try AdaptedModel(model, configuration, random: random)
        try adapted.scramble(seed: UInt64(index))
        folders.append(parent.appending(path: name))
        try adapted.folder(baseModel: "tiny", notes: notes).write(to: folders[index])
        expected.append(try model.evaluatedLogits(golden.batch))

        let again = try AdapterFolder(reading: folders[index])
        #expect(again.notes == notes)
        let second = try Golden.model()
        _ = try AdaptedModel(second, again)
        #expect(try second.evaluatedLogits(golden.batch).isIdentical(to: expected[index]))
      }
      let found = try Oracle.ask(
        Golden.folder.appending(path: "tiny"), (golden.examples, golden.types), adapters: folders)
      for (index, logits) in expected.enumerated() {
        expectClose(
          logits, try found.tensor("logits.\(index)"), absolute: 1e-5, relative: 1e-4,
          Self.cases[index].name)
      }
    }
  }

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `a merged checkpoint opens in transformers with the same logits`() throws {
    let source = try Checkpoint(folder: Golden.folder.appending(path: "tiny"))
    let model = try Golden.model()
    let adapted = try AdaptedModel(
      model, lora { ($0.targets, $0.bias) = (.allLinear, .all) }, random: random)
    try adapted.scramble(seed: 4)
    let logits = try model.evaluatedLogits(golden.batch)
    try withTemporaryFolder { folder in
      adapted.merge()
      try model.write(to: folder, like: source)
      adapted.unmerge()
      let found = try Oracle.ask(folder, (golden.examples, golden.types)).tensor("logits")
      expectClose(logits, found, absolute: 1e-5, relative: 1e-4)
    }
  }

  /// Reads the plain fixture with changed fields or tensors.
  private func open(
    config change: (inout [String: Any]) -> Void = { _ in },
    tensors rename: (String, Tensor) -> (name: String, tensor: Tensor)? = { ($0, $1) }
  ) throws -> AdaptedModel {
    try withTemporaryFolder { folder in
      let source = Self.fixtures.appending(path: "plain")
      let json = try JSONSerialization.jsonObject(
        with: Data(contentsOf: source.appending(path: "adapter_config.json")))
      var fields = try #require(json as? [String: Any])
      change(&fields)
      try JSONSerialization.data(withJSONObject: fields)
        .write(to: folder.appending(path: "adapter_config.json"))
      let file = try SafetensorsFile(
        contentsOf: source.appending(path: "adapter_model.safetensors"))
      try Safetensors.write(
        file.names.compactMap { rename($0, try file.tensor($0)) },
        to: folder.appending(path: "adapter_model.safetensors"))
      return try AdaptedModel(Golden.model(), AdapterFolder(reading: folder))
    }
  }

  @Test func `unknown fields are ignored and missing ones have defaults`() throws {
    let adapted = try open { $0["something_new"] = ["x": 1] }
    #expect(adapted.configuration.alpha == 6)
    let minimal = try open {
      $0 = [
        "peft_type": "LORA", "task_type": "SEQ_CLS", "r": 4,
        "target_modules": ["query", "value"],
      ]
    }
    #expect(minimal.configuration.alpha == 8)
  }

  @Test(arguments: [
    ("peft_type", "LOHA" as any Sendable, ApusError.Code.unsupported),
    ("peft_type", 3, .invalidFile), ("task_type", "FEATURE_EXTRACTION", .unsupported),
    ("use_dora", true, .checkpointMismatch), ("lora_bias", true, .unsupported),
    ("layers_pattern", "layer", .unsupported), ("target_modules", 5, .invalidFile),
    ("target_modules", ["none_such"], .silentFailure), ("target_modules", "(", .invalidConfig),
    ("r", "four", .invalidFile), ("r", 0, .invalidConfig), ("r", 5, .shapeMismatch),
    ("rank_pattern", ["query": 2], .shapeMismatch), ("bias", "some", .invalidFile),
    ("target_modules", ["query"], .checkpointMismatch),
    ("target_modules", ["query", "value", "key"], .checkpointMismatch),
    ("lora_alpha", [1], .invalidFile), ("modules_to_save", "classifier", .invalidFile),
  ])
  func `an odd field of adapter_config.json is answered with its kind of error`(
    field: String, value: any Sendable, code: ApusError.Code
  ) throws {
    let error = #expect(throws: ApusError.self) { try open(config: { $0[field] = value }) }
    #expect(error?.code == code, "\(String(describing: error))")
  }

  @Test func `missing, foreign, misshapen and broken tensors are named`() throws {
    let isLast = { (name: String) in name.hasSuffix("layer.1.attention.self.value.lora_B.weight") }
    for (code, rename): (ApusError.Code, (String, Tensor) -> (name: String, tensor: Tensor)?) in [
      (.checkpointMismatch, { isLast($0) ? nil : ($0, $1) }),
      (.checkpointMismatch, { (isLast($0) ? "\($0)x" : $0, $1) }),
      (.shapeMismatch, { ($0, isLast($0) ? Tensor.ones([32, 3]) : $1) }),
      (.shapeMismatch, { ($0, $0.hasSuffix("classifier.bias") ? Tensor.ones([5]) : $1) }),
      (.nonFinite, { ($0, isLast($0) ? $1 / 0 : $1) }),
    ] {
      let error = #expect(throws: ApusError.self) { try open(tensors: rename) }
      #expect(error?.code == code, "\(String(describing: error))")
    }
  }

  @Test func `pickles, missing and damaged files are refused`() throws {
    try withTemporaryFolder { folder in
      #expect(throws: ApusError.self) { try AdapterFolder(reading: folder) }
      let source = Self.fixtures.appending(path: "plain")
      let config = folder.appending(path: "adapter_config.json")
      try Data(contentsOf: source.appending(path: "adapter_config.json")).write(to: config)
      try Data([0x80, 2]).write(to: folder.appending(path: "adapter_model.bin"))
      let error = #expect(throws: ApusError.self) { try AdapterFolder(reading: folder) }
      #expect(error?.code == .unsupported)
      #expect(error?.remedy.contains("safetensors") == true)
      let tensors = folder.appending(path: "adapter_model.safetensors")
      let bytes = try Data(contentsOf: source.appending(path: "adapter_model.safetensors"))
      for count in [0, 50, bytes.count - 1] {
        try bytes.prefix(count).write(to: tensors)
        #expect(throws: ApusError.self) { try AdapterFolder(reading: folder) }
      }
      try bytes.write(to: tensors)
      for text in ["", "{", "[]", "{\"peft_type\": \"LORA\"}"] {
        try Data(text.utf8).write(to: config)
        #expect(throws: ApusError.self) { try AdapterFolder(reading: folder) }
      }
    }
  }

  @Test func `writing beside foreign files changes nothing`() throws {
    let adapted = try AdaptedModel(Golden.model(), lora(), random: random)
    let made = adapted.folder(
      baseModel: "a\"b", notes: AdapterNotes(pooling: "mean", labels: ["a", "b", "c"]))
    try withTemporaryFolder { folder in
      try made.write(to: folder)
      try made.write(to: folder)
      let card = try String(
        contentsOf: folder.appending(path: "README.md"), encoding: .utf8)
      #expect(card.hasPrefix("---\nbase_model: \"a\\\"b\"\nlibrary_name: peft\n"))
      let mine = folder.appending(path: "results.csv")
      try Data("1".utf8).write(to: mine)
      #expect(throws: ApusError.self) { try made.write(to: folder) }
      #expect(FileManager.default.fileExists(atPath: mine.path))
      #expect(try AdapterFolder(reading: folder).tensors.isIdentical(to: made.tensors))
    }
  }
}

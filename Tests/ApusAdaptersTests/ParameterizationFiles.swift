import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// DoRA, AdaLoRA and VeRA between Apus and Python's PEFT, in both directions.
@Suite struct ParameterizationFiles {
  let golden: Golden
  let random = RandomStream(seed: 11)
  static let fixtures = packageRoot.appending(path: "Tests/Fixtures/parameterizations")
  static let names = ["dora", "dora-rs", "adalora", "adalora-pruned", "vera", "vera-bare"]
  let outputs: SafetensorsFile
  let notes = AdapterNotes(pooling: "cls", labels: ["a", "b", "c"])

  init() throws {
    golden = try Golden()
    outputs = try SafetensorsFile(contentsOf: Self.fixtures.appending(path: "outputs.safetensors"))
  }

  @Test(arguments: names)
  func `a folder of Python's PEFT gives its logits and is written again as it was`(
    name: String
  ) throws {
    let folder = try AdapterFolder(reading: Self.fixtures.appending(path: name))
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, folder)
    expectClose(
      try model.evaluatedLogits(golden.batch), try outputs.tensor("\(name)/logits"),
      absolute: 1e-5, relative: 1e-4)
    let written = adapted.folder(baseModel: "tiny", notes: notes)
    #expect(written.configuration == folder.configuration)
    #expect(written.tensors.isIdentical(to: folder.tensors))
  }

  @Test(arguments: ["dora", "vera"])
  func `gradients match PEFT`(name: String) throws {
    let folder = try AdapterFolder(reading: Self.fixtures.appending(path: name))
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, folder)
    let loss = model.loss(
      try golden.batch, labels: try golden.file.tensor("labels"), random: nil)
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    let stored = outputs.names.filter { $0.hasPrefix("\(name)/gradient/") }
    #expect(stored.count == adapted.trainables.count)
    for ((key, _), gradient) in zip(adapted.trainables, gradients) {
      // In memory PEFT's vector of magnitudes is the weight of a module.
      let spelt = key.hasSuffix("lora_magnitude_vector") ? "\(key).weight" : key
      expectClose(
        try #require(gradient), try outputs.tensor("\(name)/gradient/\(spelt)"), absolute: 1e-6,
        relative: 1e-3, key)
    }
  }

  @Test func `a pruned AdaLoRA keeps the scaling of its initial rank`() throws {
    let folder = try AdapterFolder(reading: Self.fixtures.appending(path: "adalora-pruned"))
    let adapted = try AdaptedModel(Golden.model(), folder)
    let adapters = adapted.adapters[0].members.map(\.adapter)
    #expect(adapters.map(\.rank) == [3, 0, 1, 4])
    #expect(adapters.allSatisfy { $0.scaling == 7 / (4 + 1e-5) })
  }

  @Test(arguments: names)
  func `what is no plain LoRA has no pairs of factors to combine`(name: String) throws {
    let folder = try AdapterFolder(reading: Self.fixtures.appending(path: name))
    let error = #expect(throws: ApusError.self) { try folder.factorPairs }
    #expect(error?.code == .unsupported && error?.location == "adapter_config.json")
  }

  static let cases: [(name: String, configuration: AdapterConfiguration)] = [
    ("dora", adapter(.dora) { ($0.alpha, $0.rankPattern) = (6, ["query": 2]) }),
    ("dora-rs", adapter(.dora) { ($0.useRSLoRA, $0.targets) = (true, .allLinear) }),
    ("adalora", adapter(.adalora) { ($0.alpha, $0.adalora.initialRank) = (7, 5) }),
    ("vera", adapter(.vera) { ($0.targets, $0.bias) = (.allLinear, .adapted) }),
    (
      "vera-bare",
      adapter(.vera) {
        ($0.rank, $0.vera.projectionSeed, $0.vera.storesProjections) = (40, 9, false)
      }
    ),
    ("dylora", adapter(.dylora) { ($0.alpha, $0.dylora.width) = (6, 3) }),
  ]

  /// Writes each case with values that are drawn, and says what it gives.
  private func write(to parent: URL) throws -> (folders: [URL], expected: [Tensor]) {
    var folders: [URL] = []
    var expected: [Tensor] = []
    for (index, (name, configuration)) in Self.cases.enumerated() {
      let model = try Golden.model()
      let adapted = try AdaptedModel(model, configuration, random: random)
      try adapted.scramble(seed: UInt64(index))
      for (index, member) in adapted.adapters[0].members.enumerated() {
        // Some of AdaLoRA's triplets are switched off, at one site all of them.
        guard let adapter = member.adapter as? AdaLoRA else { continue }
        let mask = (0..<5).map { index == 1 || $0 % (index + 2) == 0 ? 0 : 1 } as [Float]
        adapter.e.multiplyInPlace(Tensor(mask, shape: [5, 1]))
      }
      folders.append(parent.appending(path: name))
      try adapted.folder(baseModel: "tiny", notes: notes).write(to: folders[index])
      expected.append(try model.evaluatedLogits(golden.batch))
    }
    return (folders, expected)
  }

  @Test func `folders of Apus give their logits when they are read again`() throws {
    try withTemporaryFolder { parent in
      let (folders, expected) = try write(to: parent)
      for (folder, logits) in zip(folders, expected) {
        let model = try Golden.model()
        let read = try AdapterFolder(reading: folder)
        let again = try AdaptedModel(model, read)
        expectClose(
          try model.evaluatedLogits(golden.batch), logits, absolute: 1e-6, relative: 1e-5,
          folder.lastPathComponent)
        #expect(again.storedValues.isIdentical(to: read.tensors))
      }
    }
  }

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `folders of Apus give their logits in Python's PEFT`() throws {
    try withTemporaryFolder { parent in
      let (folders, expected) = try write(to: parent)
      let found = try Oracle.ask(
        Golden.folder.appending(path: "tiny"), (golden.examples, golden.types), adapters: folders)
      for (index, logits) in expected.enumerated() {
        expectClose(
          logits, try found.tensor("logits.\(index)"), absolute: 1e-5, relative: 1e-4,
          Self.cases[index].name)
      }
    }
  }

  @Test(arguments: [
    ("adalora", "total_step", 0 as any Sendable, ApusError.Code.invalidFile),
    ("adalora", "tfinal", 49, .invalidConfig), ("adalora", "use_dora", true, .unsupported),
    ("adalora", "init_r", 1, .invalidConfig), ("adalora", "init_r", 5, .shapeMismatch),
    ("adalora-pruned", "rank_pattern", ["query": [1]], .invalidFile),
    ("adalora-pruned", "rank_pattern", ["query": [true]], .shapeMismatch),
    ("vera", "r", 6, .shapeMismatch), ("vera", "projection_prng_key", -1, .invalidFile),
    ("vera", "d_initial", 0, .invalidConfig), ("vera", "bias", "lora_only", .invalidFile),
    ("vera-bare", "save_projection", true, .checkpointMismatch),
    ("vera", "save_projection", false, .checkpointMismatch),
    ("dora", "use_dora", false, .checkpointMismatch), ("dora", "bias", "vera_only", .invalidFile),
  ])
  func `an odd field of adapter_config.json is answered with its kind of error`(
    name: String, field: String, value: any Sendable, code: ApusError.Code
  ) throws {
    let source = Self.fixtures.appending(path: name)
    try withTemporaryFolder { folder in
      let json = try JSONSerialization.jsonObject(
        with: Data(contentsOf: source.appending(path: "adapter_config.json")))
      var fields = try #require(json as? [String: Any])
      fields[field] = value
      try JSONSerialization.data(withJSONObject: fields)
        .write(to: folder.appending(path: "adapter_config.json"))
      try FileManager.default.copyItem(
        at: source.appending(path: "adapter_model.safetensors"),
        to: folder.appending(path: "adapter_model.safetensors"))
      let error = #expect(throws: ApusError.self) {
        try AdaptedModel(Golden.model(), AdapterFolder(reading: folder))
      }
      #expect(error?.code == code, "\(String(describing: error))")
    }
  }
}

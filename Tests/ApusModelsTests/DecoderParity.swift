import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct DecoderParity {
  @Test(arguments: DecoderGolden.names, ["right", "left", "gaps"])
  func `logits match transformers wherever the padding stands`(
    name: String, padding: String
  ) throws {
    let golden = try DecoderGolden(name)
    let (model, batch) = (try golden.model(), try golden.batch(padding))
    try model.check(batch)
    expectClose(
      model.evaluatedLogits(batch), try golden.rows("\(padding).logits", padding),
      absolute: 1e-5, relative: 1e-4, "logits")
    try Tensor.check()
  }

  @Test(arguments: DecoderGolden.names)
  func `the loss counts the labelled tokens alone, as in transformers`(name: String) throws {
    let golden = try DecoderGolden(name)
    let (batch, targets) = try golden.training()
    expectClose(
      try golden.model().loss(batch, targets: targets, random: nil),
      try golden.file.tensor("loss"), absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: DecoderGolden.names)
  func `classifiers look at the last token that is not padding`(name: String) throws {
    let golden = try DecoderGolden(name)
    let places = try golden.places("right")
    let batch = try TokenBatch(golden.values("cls.ids", at: places))
    let model = try Backbone(Checkpoint(folder: golden.folder.appending(path: "cls")))
      .makeClassifier(labels: 3, pooling: .cls, random: RandomStream(seed: 1))
    #expect(!model.hasFreshHead)
    expectClose(
      model.evaluatedLogits(batch), try golden.file.tensor("cls.logits"), absolute: 1e-5,
      relative: 1e-4)
    let loss = model.loss(batch, labels: try golden.file.tensor("cls.labels"), random: nil)
    expectClose(loss, try golden.file.tensor("cls.loss"), absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: DecoderGolden.names)
  func `a batch gives what its examples give one by one`(name: String) throws {
    let golden = try DecoderGolden(name)
    let model = try golden.model()
    let examples = try golden.values("right.ids", at: golden.places("right"))
    let together = model.evaluatedLogits(try TokenBatch(examples))
    let alone = try examples.map { model.evaluatedLogits(try TokenBatch([$0])) }
    expectClose(concatenated(alone), together, absolute: 1e-5, relative: 1e-4)
  }

  @Test(arguments: DecoderGolden.names)
  func `no token sees a later one`(name: String) throws {
    let golden = try DecoderGolden(name)
    let model = try golden.model()
    let ids = try golden.values("right.ids", at: golden.places("right"))[2]
    let whole = model.evaluatedLogits(try TokenBatch([ids]))
    let half = model.evaluatedLogits(try TokenBatch([Array(ids.prefix(6))]))
    expectClose(half, whole.sliced(0, 0..<6), absolute: 1e-5, relative: 1e-4)
  }

  @Test(arguments: DecoderGolden.names)
  func `bfloat16 stays close, and dropout is decided by its stream alone`(name: String) throws {
    let golden = try DecoderGolden(name)
    let (batch, targets) = try golden.training()
    let exact = try golden.model().loss(batch, targets: targets, random: nil).item
    let rounded = try golden.model(.bfloat16)
    #expect(rounded.hidden(batch).dtype == .bfloat16)
    #expect(abs(rounded.loss(batch, targets: targets, random: nil).item - exact) < 0.2)
    let model = try golden.model()
    let stream = RandomStream(seed: 3)
    let first = model.loss(batch, targets: targets, random: stream)
    #expect(first.isIdentical(to: model.loss(batch, targets: targets, random: stream)))
  }

  @Test(arguments: DecoderGolden.names)
  func `customary targets exist, and every block has its sites`(name: String) throws {
    let golden = try DecoderGolden(name)
    let architecture = try Checkpoint(folder: golden.folder.appending(path: "tiny")).architecture
    var projections: [String] = []
    var (sequences, residuals, attentions) = (0, 0, 0)
    try golden.model().walk { path, module in
      switch module {
      case is ProjectionSite: projections.append(path)
      case is SequenceSite: sequences += 1
      case is ResidualSite: residuals += 1
      case is AttentionSite: attentions += 1
      default: break
      }
    }
    for target in architecture.defaultTargets + architecture.ia3Targets {
      #expect(projections.contains { $0.hasSuffix(".\(target)") }, "\(target)")
    }
    #expect(sequences >= 2 && residuals == 2 * sequences && attentions == sequences)
  }

  @Test(arguments: [
    ("llama", "num_key_value_heads", 3 as any Sendable, "3"),
    ("llama", "rope_parameters", ["rope_type": "yarn", "factor": "2"], "yarn"),
    ("llama3", "rope_parameters", ["rope_type": "llama3", "factor": "x"], "factor"),
    ("llama", "vocab_size", 65, "[65"), ("llama", "num_hidden_layers", 1, "unexpected"),
    ("llama", "tie_word_embeddings", "maybe", "tie_word_embeddings"),
    ("llama", "hidden_act", "siluu", "silu"), ("qwen2", "layer_types", ["full_attention"], "3"),
    ("gemma2", "layer_types", ["full", "full", "full"], "full_attention"),
    ("gemma", "use_bidirectional_attention", true, "causal"),
    ("gpt2", "n_head", 5, "heads"), ("gpt2", "add_cross_attention", true, "alone"),
  ])
  func `an odd value in config.json is named`(
    name: String, field: String, value: any Sendable, told: String
  ) throws {
    let source = try DecoderGolden(name).folder.appending(path: "tiny")
    try withTemporaryFolder { parent in
      let folder = parent.appending(path: "copy")
      try FileManager.default.copyItem(at: source, to: folder)
      let config = folder.appending(path: "config.json")
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: config))
      var fields = try #require(json as? [String: Any])
      fields[field] = value
      try JSONSerialization.data(withJSONObject: fields).write(to: config)
      let error = #expect(throws: ApusError.self) {
        try Backbone(Checkpoint(folder: folder)).makeLanguageModel()
      }
      #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
    }
  }

  @Test func `encoders do not predict the next token`() throws {
    let error = #expect(throws: ApusError.self) { try Golden.backbone().makeLanguageModel() }
    #expect(error?.remedy.contains("llama") == true)
  }
}

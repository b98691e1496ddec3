import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct EncoderParity {
  @Test(arguments: EncoderGolden.names)
  func `hidden states, logits and loss match transformers`(name: String) throws {
    let golden = try EncoderGolden(name)
    let (model, batch) = (try golden.model(), try golden.batch)
    #expect(!model.hasFreshHead)
    try model.check(batch)
    let hidden = withoutGradient { model.hidden(batch) }
    expectClose(
      hidden, try golden.file.tensor("hidden"), absolute: 1e-5, relative: 1e-4, "hidden")
    expectClose(
      model.evaluatedLogits(batch), try golden.file.tensor("logits"), absolute: 1e-5,
      relative: 1e-4, "logits")
    let loss = model.loss(batch, labels: try golden.file.tensor("labels"), random: nil)
    expectClose(loss, try golden.file.tensor("loss"), absolute: 1e-6, relative: 1e-5, "loss")
    try Tensor.check()
  }

  @Test(arguments: EncoderGolden.names, Pooling.allCases)
  func `a batch gives what its examples give one by one`(name: String, pooling: Pooling) throws {
    let golden = try EncoderGolden(name)
    let model = try golden.model(pooling)
    let together = try model.evaluatedLogits(golden.batch)
    let alone = try zip(golden.examples, golden.types).map { ids, types in
      model.evaluatedLogits(try TokenBatch([ids], types: [types]))
    }
    expectClose(concatenated(alone), together, absolute: 1e-5, relative: 1e-4)
  }

  @Test(arguments: EncoderGolden.names)
  func `mean pooling is one layer on the mean over the tokens`(name: String) throws {
    let golden = try EncoderGolden(name)
    let (model, batch) = (try golden.model(.mean), try golden.batch)
    let mean = batch.layout.meanOverExamples(try golden.file.tensor("hidden"))
    let expected = withoutGradient { model.classifier(mean) }
    expectClose(model.evaluatedLogits(batch), expected, absolute: 1e-5, relative: 1e-4)
    #expect(model.parameters.filter { $0.key.hasPrefix("classifier") }.count == 2)
  }

  @Test(arguments: EncoderGolden.names)
  func `a head for other classes keeps the layers that fit`(name: String) throws {
    let golden = try EncoderGolden(name)
    let (own, other) = (try golden.model(), try golden.model(labels: 5))
    #expect(other.hasFreshHead)
    #expect(try other.evaluatedLogits(golden.batch).shape == [golden.examples.count, 5])
    for (key, parameter) in other.parameters where parameter.shape.first != 5 {
      let value = try #require(own.parameters.first { $0.key == key }).parameter.value
      #expect(parameter.value.isIdentical(to: value), "\(key)")
    }
  }

  @Test(arguments: EncoderGolden.names, Pooling.allCases)
  func `a written checkpoint opens again with the same bits`(
    name: String, pooling: Pooling
  ) throws {
    let golden = try EncoderGolden(name)
    let model = try golden.model(pooling)
    try withTemporaryFolder { parent in
      let folder = parent.appending(path: "model")
      try model.write(to: folder, like: Checkpoint(folder: golden.folder))
      let again = try Checkpoint(folder: folder)
      #expect(again.pooling == pooling)
      let opened = try Backbone(again).makeClassifier(
        labels: 3, pooling: pooling, random: RandomStream(seed: 2))
      #expect(!opened.hasFreshHead)
      let batch = try golden.batch
      #expect(opened.evaluatedLogits(batch).isIdentical(to: model.evaluatedLogits(batch)))
    }
  }

  @Test(arguments: EncoderGolden.names)
  func `dropout is decided by its stream alone, and bfloat16 stays close`(name: String) throws {
    let golden = try EncoderGolden(name)
    let (model, batch) = (try golden.model(), try golden.batch)
    let exact = model.evaluatedLogits(batch)
    let stream = RandomStream(seed: 3).substream("dropout")
    let first = model.logits(batch, random: stream)
    #expect(first.isIdentical(to: model.logits(batch, random: stream)))
    #expect(!first.isIdentical(to: exact))
    let rounded = try golden.model(.cls, .bfloat16)
    #expect(rounded.hidden(batch).dtype == .bfloat16)
    expectClose(rounded.evaluatedLogits(batch), exact, absolute: 0.1, relative: 0.1)
  }

  @Test(arguments: EncoderGolden.names)
  func `customary targets exist, and every depth has its prompts`(name: String) throws {
    let golden = try EncoderGolden(name)
    let model = try golden.model()
    var endings: Set<String> = []
    var sites = 0
    model.walk { path, module in
      if module is ProjectionSite, let last = path.split(separator: ".").last {
        endings.insert(String(last))
      }
      if module is SequenceSite { sites += 1 }
    }
    let checkpoint = try Checkpoint(folder: golden.folder)
    #expect(endings.isSuperset(of: checkpoint.architecture.defaultTargets))
    #expect(sites == (name == "albert" ? 6 : 2))
  }

  @Test func `XLM-RoBERTa is RoBERTa under another name`() throws {
    let golden = try EncoderGolden("roberta")
    try withCopy(of: golden) {
      $0["model_type"] = "xlm-roberta"
      $0["architectures"] = ["XLMRobertaForSequenceClassification"]
    } then: { folder in
      let checkpoint = try Checkpoint(folder: folder)
      #expect(checkpoint.architecture.classPrefix == "XLMRoberta")
      let model = try Backbone(checkpoint).makeClassifier(
        labels: 3, pooling: .cls, random: RandomStream(seed: 1))
      expectClose(
        try model.evaluatedLogits(golden.batch), try golden.file.tensor("logits"), absolute: 1e-5,
        relative: 1e-4)
    }
  }

  @Test func `RoBERTa's table of positions begins behind the padding`() throws {
    let golden = try EncoderGolden("roberta")
    let model = try golden.model()
    #expect(try Checkpoint(folder: golden.folder).maxLength == 22)
    try model.check(TokenBatch([Array(repeating: 5, count: 22)]))
    let error = #expect(throws: ApusError.self) {
      try model.check(TokenBatch([Array(repeating: 5, count: 23)]))
    }
    #expect(error?.remedy.contains("22") == true)
    #expect(throws: ApusError.self) { try model.check(TokenBatch([[5]], types: [[1]])) }
  }

  @Test func `DistilBERT ignores segments, and reads a table of sines from the file`() throws {
    let golden = try EncoderGolden("distilbert")
    let model = try golden.model()
    let ones = golden.examples.map { $0.map { _ in 1 } }
    let batch = try TokenBatch(golden.examples, types: ones)
    try model.check(batch)
    let logits = model.evaluatedLogits(batch)
    #expect(try logits.isIdentical(to: model.evaluatedLogits(golden.batch)))
    try withCopy(of: golden) {
      $0["sinusoidal_pos_embds"] = true
    } then: { folder in
      let sines = try Backbone(Checkpoint(folder: folder)).makeClassifier(
        labels: 3, pooling: .cls, random: RandomStream(seed: 1))
      #expect(try sines.evaluatedLogits(golden.batch).isIdentical(to: logits))
    }
  }

  @Test(arguments: [
    ("roberta", "position_embedding_type", "relative_key" as any Sendable, "absolute"),
    ("roberta", "is_decoder", true, "encoder"), ("roberta", "pad_token_id", -1, "-1"),
    ("distilbert", "n_heads", 5, "heads"), ("distilbert", "activation", "geluu", "gelu"),
    ("albert", "num_hidden_groups", 4, "4"), ("albert", "inner_group_num", 1, "unexpected"),
    ("albert", "embedding_size", 8, "[96, 8]"), ("deberta_v2/v3", "position_buckets", 1, "buckets"),
    ("deberta_v2/v3", "pos_att_type", 5, "array"), ("deberta_v2/v2", "conv_kernel_size", 4, "4"),
    ("deberta_v2/conv", "conv_groups", 2, "2"), ("deberta_v2/conv", "conv_act", "tan", "tanh"),
    ("deberta/base", "talking_head", true, "talk"), ("deberta/base", "pooler_hidden_size", 8, "8"),
    ("deberta_v2/v2", "share_att_key", true, "unexpected"),
    ("deberta_v2/content", "attention_head_size", 4, "4"),
  ])
  func `an odd value in config.json is named`(
    name: String, field: String, value: any Sendable, told: String
  ) throws {
    try withCopy(of: EncoderGolden(name)) {
      $0[field] = value
    } then: { folder in
      let error = #expect(throws: ApusError.self) {
        try Backbone(Checkpoint(folder: folder)).makeClassifier(
          labels: 3, pooling: .cls, random: RandomStream(seed: 1))
      }
      #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
    }
  }

  /// A copy of a tiny checkpoint with another configuration.
  private func withCopy(
    of golden: EncoderGolden, config change: (inout [String: Any]) -> Void,
    then body: (URL) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let json = try JSONSerialization.jsonObject(
        with: Data(contentsOf: golden.folder.appending(path: "config.json")))
      var fields = try #require(json as? [String: Any])
      change(&fields)
      try JSONSerialization.data(withJSONObject: fields)
        .write(to: folder.appending(path: "config.json"))
      let weights = "model.safetensors"
      try FileManager.default.copyItem(
        at: golden.folder.appending(path: weights), to: folder.appending(path: weights))
      try body(folder)
    }
  }
}

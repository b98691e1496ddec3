import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// A configuration, from the defaults.
func lora(_ change: (inout AdapterConfiguration) -> Void = { _ in }) -> AdapterConfiguration {
  var configuration = AdapterConfiguration()
  change(&configuration)
  return configuration
}

extension AdaptedModel {
  /// Gives every trainable other values, so that no factor is zero.
  func scramble(seed: UInt64) throws {
    var moved: [String: Tensor] = [:]
    for (name, value) in values {
      var stream = RandomStream(seed: seed).substream(name)
      moved[name] = value + Tensor.normal(value.shape, deviation: 0.1, stream: &stream)
    }
    try load(NamedTensors(moved))
  }
}

@Suite struct LoRALaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  @Test(arguments: Precision.allCases)
  func `a fresh adapter changes no bit`(precision: Precision) throws {
    let model = try Golden.model(.cls, precision)
    let before = try model.evaluatedLogits(golden.batch)
    let adapted = try AdaptedModel(
      model, lora { $0.targets = .allLinear }, random: random)
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: before))
    try adapted.scramble(seed: 1)
    #expect(!(try model.evaluatedLogits(golden.batch).isIdentical(to: before)))
    adapted.detach()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: before))
  }

  @Test func `trainable counts are those of the table`() throws {
    let head = 3 * 32 + 3
    for (configuration, expected) in [
      (lora { $0.rank = 4 }, 4 * 4 * (32 + 32) + head),
      (
        lora {
          $0.rank = 2
          $0.targets = .names(["intermediate.dense"])
        }, 2 * 2 * (32 + 48) + head
      ),
      (lora { $0.modulesToSave = [] }, 4 * 8 * 64),
      (lora { $0.bias = .adapted }, 4 * 8 * 64 + 4 * 32 + head),
      (lora { $0.bias = .all }, 4 * 8 * 64 + 2 * (9 * 32 - 2 * 32 + 48) + 2 * 32 + head),
    ] {
      let adapted = try AdaptedModel(Golden.model(), configuration, random: random)
      #expect(adapted.values.elementCount == expected)
      #expect(adapted.factorPairs.allSatisfy { adapted.values[$0.a] != nil })
    }
  }

  @Test func `outputs and gradients match PEFT`() throws {
    let adapted = try AdaptedModel(
      Golden.model(),
      lora {
        ($0.rank, $0.alpha) = (4, 6)
        $0.targets = .names(["query", "value", "dense"])
      }, random: random)
    let model = try #require(adapted.model as? TextClassifier)
    let prefix = "value/"
    let stored = golden.file.names.filter { $0.hasPrefix(prefix) }
    try adapted.load(
      NamedTensors(
        Dictionary(
          uniqueKeysWithValues: stored.map {
            (String($0.dropFirst(prefix.count)), try golden.file.tensor($0))
          })))
    #expect(adapted.trainables.count == stored.count)
    expectClose(
      model.evaluatedLogits(try golden.batch), try golden.file.tensor("logits.lora"),
      absolute: 1e-5, relative: 1e-4, "logits")
    let loss = model.loss(
      try golden.batch, labels: try golden.file.tensor("labels"), random: nil)
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    for ((name, _), gradient) in zip(adapted.trainables, gradients) {
      expectClose(
        try #require(gradient), try golden.file.tensor("gradient/\(name)"), absolute: 1e-6,
        relative: 1e-3, name)
    }
  }

  @Test func `a batch has the sum of its examples' gradients`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora { $0.targets = .allLinear }, random: random)
    try adapted.scramble(seed: 6)
    let leaves = adapted.trainables.map(\.leaf)
    let labels = try golden.file.tensor("labels")
    let count = Double(golden.examples.count)
    let loss = model.loss(try golden.batch, labels: labels, random: nil) * count
    let together = loss.gradients(by: leaves)
    var sum = leaves.map(\.zerosLike)
    for index in golden.examples.indices {
      let batch = try TokenBatch([golden.examples[index]], types: [golden.types[index]])
      let loss = model.loss(batch, labels: labels.sliced(0, index..<(index + 1)), random: nil)
      sum = zip(sum, loss.gradients(by: leaves)).map { $0 + ($1 ?? $0.zerosLike) }
    }
    for (index, gradient) in together.enumerated() {
      expectClose(
        try #require(gradient), sum[index], absolute: 1e-5, relative: 1e-3,
        adapted.trainables[index].name)
    }
  }

  @Test(arguments: Precision.allCases)
  func `training moves the trainables and no bit of the frozen weights`(
    precision: Precision
  ) throws {
    let backbone = try Golden.backbone(precision)
    let frozen = backbone.weights.copied()
    let model = try backbone.makeClassifier(labels: 3, pooling: .cls, random: random)
    let adapted = try AdaptedModel(
      model,
      lora {
        ($0.bias, $0.dropout) = (.all, 0.1)
        $0.modulesToSave = ["classifier", "pooler"]
      }, random: random)
    let labels = try golden.file.tensor("labels")
    let first = try withoutGradient { model.loss(try golden.batch, labels: labels, random: nil) }
    for step in 0..<20 {
      let loss = model.loss(
        try golden.batch, labels: labels, random: random.substream("step", step))
      let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
      for ((name, leaf), gradient) in zip(adapted.trainables, gradients) {
        let gradient = try #require(gradient, "\(name) has no gradient")
        #expect(gradient.dtype == .float32)
        leaf.addInPlace(gradient, factor: -0.05)
      }
      try Tensor.check("step \(step)")
    }
    let last = try withoutGradient { model.loss(try golden.batch, labels: labels, random: nil) }
    #expect(last.item < 0.8 * first.item)
    #expect(backbone.weights.isIdentical(to: frozen))
    adapted.detach()
    for (key, parameter) in model.parameters where key.hasPrefix("bert.") {
      #expect(parameter.value.isIdentical(to: try #require(frozen[key])))
      #expect(!parameter.value.requiresGradient)
    }
  }

  @Test func `start values depend on the path, not on the other sites`() throws {
    let few = try AdaptedModel(
      Golden.model(), lora { $0.targets = .names(["value"]) }, random: random)
    let many = try AdaptedModel(
      Golden.model(), lora { $0.targets = .allLinear }, random: random)
    for (name, tensor) in few.values {
      #expect(tensor.isIdentical(to: try #require(many.values[name])))
    }
    let starts = few.factorPairs.compactMap { few.values[$0.a] }
    #expect(!starts[0].isIdentical(to: starts[1]))
    #expect(starts[0].magnitude.max().item <= 1 / 32.0.squareRoot())
  }

  @Test func `merging gives the same logits, and unmerging the same bits`() throws {
    let model = try Golden.model()
    let weights = {
      NamedTensors(
        Dictionary(
          uniqueKeysWithValues: model.parameters.map { ($0.key, $0.parameter.value) }))
    }
    let adapted = try AdaptedModel(
      model, lora { $0.targets = .allLinear }, random: random)
    try adapted.scramble(seed: 2)
    let (before, logits) = (weights().copied(), try model.evaluatedLogits(golden.batch))
    adapted.merge()
    adapted.merge()
    #expect(!weights().isIdentical(to: before))
    expectClose(
      try model.evaluatedLogits(golden.batch), logits, absolute: 1e-5, relative: 1e-5)
    adapted.unmerge()
    #expect(weights().isIdentical(to: before))
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: logits))
    adapted.merge()
    try adapted.scramble(seed: 3)
    let changed = try model.evaluatedLogits(golden.batch)
    adapted.unmerge()
    expectClose(
      try model.evaluatedLogits(golden.batch), changed, absolute: 1e-5, relative: 1e-5)
  }

  @Test func `dropout acts on the adapter's branch alone`() throws {
    let layer = ProjectionSite(8, 6)
    var stream = RandomStream(seed: 1)
    layer.base.weight.value = Tensor.normal([6, 8], stream: &stream)
    layer.base.bias?.value = Tensor.zeros([6])
    let x = Tensor.normal([5, 8], stream: &stream)
    let plain = ForwardPass(layout: RowLayout(lengths: [5]))
    let training = ForwardPass(layout: plain.layout, random: stream)
    layer.attach(LoRA(for: layer.base, rank: 2, scaling: 1, dropout: 0.5, random: stream))
    #expect(layer(x, training).isIdentical(to: layer.base(x)))
    let adapter = try #require(layer.adapters.first?.adapter as? LoRA)
    adapter.b.fillInPlace(0.3)
    #expect(layer(x, training).isIdentical(to: layer(x, training)))
    #expect(!layer(x, training).isIdentical(to: layer(x, plain)))
  }

  @Test func `loading by name refuses strangers before it writes`() throws {
    let adapted = try AdaptedModel(Golden.model(), lora(), random: random)
    let before = adapted.values
    let name = adapted.trainables[0].name
    for (key, tensor) in [(name + "x", Tensor.ones([8, 32])), (name, Tensor.ones([4, 32]))] {
      var values = before.mapValues { $0 + 1 }
      values[key] = tensor
      let error = #expect(throws: ApusError.self) { try adapted.load(values) }
      #expect(error?.code == .shapeMismatch)
      #expect(adapted.values.isIdentical(to: before))
    }
  }
}

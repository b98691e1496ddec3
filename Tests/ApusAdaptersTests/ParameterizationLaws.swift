import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// A configuration of a kind, with a rank that suits the tiny model.
func adapter(
  _ kind: AdapterKind, _ change: (inout AdapterConfiguration) -> Void = { _ in }
) -> AdapterConfiguration {
  lora {
    ($0.kind, $0.rank) = (kind, 4)
    change(&$0)
  }
}

/// Laws of every kind of adapter.
@Suite struct ParameterizationLaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  @Test(arguments: AdapterKind.allCases, Precision.allCases)
  func `a fresh adapter changes no bit`(kind: AdapterKind, precision: Precision) throws {
    let model = try Golden.model(.cls, precision)
    let before = try model.evaluatedLogits(golden.batch)
    let adapted = try AdaptedModel(
      model, adapter(kind) { $0.targets = .allLinear }, random: random)
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: before))
    try adapted.scramble(seed: 1)
    #expect(!(try model.evaluatedLogits(golden.batch).isIdentical(to: before)))
    adapted.detach()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: before))
  }

  /// Trainable numbers of one site of a kind, r = 4.
  static let counts: [(kind: AdapterKind, count: @Sendable (Int, Int) -> Int)] = [
    (.lora, { 4 * ($0 + $1) }), (.dylora, { 4 * ($0 + $1) }), (.adalora, { 6 * ($0 + $1 + 1) }),
    (.dora, { 4 * ($0 + $1) + $1 }), (.vera, { _, outputs in 4 + outputs }),
  ]

  @Test(arguments: counts.indices)
  func `trainable counts are those of the table`(index: Int) throws {
    let (kind, count) = Self.counts[index]
    let adapted = try AdaptedModel(
      Golden.model(),
      adapter(kind) {
        $0.targets = .names(["value", "intermediate.dense", "output.dense"])
        $0.modulesToSave = []
      }, random: random)
    let layers = adapted.adapters[0].members.map(\.site.base)
    #expect(Set(layers.map { [$0.inputs, $0.outputs] }).count == 3)
    #expect(
      adapted.values.elementCount
        == layers.reduce(0) { $0 + count($1.inputs, $1.outputs) })
  }

  @Test(arguments: AdapterKind.allCases)
  func `merging gives the same logits, and unmerging the same bits`(kind: AdapterKind) throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(
      model, adapter(kind) { $0.targets = .allLinear }, random: random)
    try adapted.scramble(seed: 2)
    let logits = try model.evaluatedLogits(golden.batch)
    adapted.merge()
    expectClose(
      try model.evaluatedLogits(golden.batch), logits, absolute: 1e-5, relative: 1e-5)
    adapted.unmerge()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: logits))
  }

  @Test(arguments: AdapterKind.allCases)
  func `every trained tensor has a gradient in float32, also beside bfloat16`(
    kind: AdapterKind
  ) throws {
    let model = try Golden.model(.cls, .bfloat16)
    let adapted = try AdaptedModel(model, adapter(kind) { $0.dropout = 0.1 }, random: random)
    try adapted.scramble(seed: 3)
    let loss = model.loss(
      try golden.batch, labels: try golden.file.tensor("labels"), random: random)
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    for ((name, _), gradient) in zip(adapted.trainables, gradients) {
      let gradient = try #require(gradient, "\(name) has no gradient")
      #expect(gradient.dtype == .float32 && gradient.norm().item > 0, "\(name)")
    }
    try Tensor.check()
  }

  @Test(arguments: AdapterKind.allCases)
  func `dropout acts on the adapter's branch alone`(kind: AdapterKind) throws {
    let (plain, dropping) = (try Golden.model(), try Golden.model())
    let configuration = adapter(kind)
    _ = try AdaptedModel(plain, configuration, random: random)
    let adapted = try AdaptedModel(
      dropping,
      {
        var dropping = configuration
        dropping.dropout = 0.5
        return dropping
      }(), random: random)
    let labels = try golden.file.tensor("labels")
    let loss = { (model: TextClassifier) in
      model.loss(try golden.batch, labels: labels, random: random)
    }
    #expect(try loss(dropping).isIdentical(to: loss(plain)))
    try adapted.scramble(seed: 5)
    #expect(try loss(dropping).isIdentical(to: loss(dropping)))
    let calm = try dropping.evaluatedLogits(golden.batch)
    #expect(try dropping.evaluatedLogits(golden.batch).isIdentical(to: calm))
  }

  @Test(arguments: [AdapterKind.lora, .adalora, .dora])
  func `tensors of another rank are taken as a whole`(kind: AdapterKind) throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(
      model,
      adapter(kind) {
        $0.adalora.initialRank = kind == .adalora ? 4 : nil
        $0.alpha = 4
      }, random: random)
    try adapted.scramble(seed: 4)
    let logits = try model.evaluatedLogits(golden.batch)
    var values = adapted.values
    for (name, tensor) in values {
      let parts = name.split(separator: ".")
      if parts.contains("lora_A") || parts.contains("lora_E") {
        values[name] = concatenated([tensor, .zeros([2, tensor.size(1)])])
      } else if parts.contains("lora_B") {
        values[name] = concatenated([tensor, .zeros([tensor.size(0), 2])], dim: 1)
      }
    }
    try adapted.load(values)
    #expect(adapted.adapters[0].members.allSatisfy { $0.adapter.rank == 6 })
    expectClose(
      try model.evaluatedLogits(golden.batch), logits, absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: [AdapterKind.dylora, .vera])
  func `adapters of one rank refuse others`(kind: AdapterKind) throws {
    let adapted = try AdaptedModel(Golden.model(), adapter(kind), random: random)
    let other = try AdaptedModel(Golden.model(), adapter(kind) { $0.rank = 3 }, random: random)
    let error = #expect(throws: ApusError.self) { try adapted.load(other.values) }
    #expect(error?.code == .shapeMismatch)
  }

  @Test(arguments: AdapterKind.allCases)
  func `beside a base delta the folder is one LoRA`(kind: AdapterKind) throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, adapter(kind), random: random)
    try adapted.scramble(seed: 6)
    var (change, delta) = (BaseChange(), BaseDelta())
    for member in adapted.adapters[0].members {
      var stream = random.substream(member.path)
      change.add(
        member.path, u: .normal([32, 2], deviation: 0.1, stream: &stream),
        v: .normal([2, 32], stream: &stream))
    }
    try delta.add(change)
    try adapted.load(delta)
    let logits = try model.evaluatedLogits(golden.batch)
    let folder = adapted.folder(
      baseModel: nil, notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"]))
    #expect(folder.configuration.kind == .lora)
    let again = try Golden.model()
    _ = try AdaptedModel(again, folder)
    expectClose(
      try again.evaluatedLogits(golden.batch), logits, absolute: 2e-5, relative: 1e-4)
  }

  typealias Change = @Sendable (inout AdapterConfiguration) -> Void

  /// Settings that are wrong, each with the place that the refusal names.
  static let wrong: [(kind: AdapterKind, setting: String, change: Change)] = [
    (.vera, "alpha", { $0.alpha = 16 }),
    (.vera, "rank-pattern", { $0.rankPattern = ["query": 2] }),
    (.adalora, "alpha-pattern", { $0.alphaPattern = ["query": 2] }),
    (.dylora, Spelling.kebab("useRSLoRA"), { $0.useRSLoRA = true }),
    (.lora, "dylora", { $0.dylora.width = 2 }), (.dora, "adalora", { $0.adalora.interval = 2 }),
    (.lora, "vera", { $0.vera.initialD = 1 }), (.vera, "vera.initial-d", { $0.vera.initialD = 0 }),
    (.dylora, "dylora.width", { $0.dylora.width = 5 }),
    (.dylora, "dylora.width", { $0.dylora.width = 0 }),
    (.adalora, "adalora.initial-rank", { $0.adalora.initialRank = 3 }),
    (.adalora, "adalora.final-share", { $0.adalora.finalShare = 0.9 }),
    (.adalora, "adalora.interval", { $0.adalora.interval = 0 }),
    (.adalora, "adalora.beta1", { $0.adalora.beta1 = 1 }),
    (.adalora, "adalora.orthogonality", { $0.adalora.orthogonality = -1 }),
    (.adalora, "adalora.total-steps", { $0.adalora.totalSteps = 0 }),
  ]

  @Test(arguments: wrong.indices)
  func `a setting that the kind does not have or that makes no sense is refused by name`(
    index: Int
  ) {
    let (kind, setting, change) = Self.wrong[index]
    let error = #expect(throws: ApusError.self) { try adapter(kind, change).validate() }
    #expect(error?.code == .invalidConfig)
    #expect(error?.location == setting)
  }
}

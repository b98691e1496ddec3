import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// Deltas of every adapted projection, of a rank or dense.
private func drawnDelta(
  _ model: AdaptedModel, rank: Int? = 3, deviation: Double = 0.1, seed: UInt64 = 5
) throws -> BaseDelta {
  var stream = RandomStream(seed: seed)
  var delta = BaseDelta()
  let values = model.values
  for pair in model.factorPairs {
    let rows = try #require(values[pair.b]).size(0)
    let columns = try #require(values[pair.a]).size(1)
    var change = BaseChange()
    change.add(
      pair.site,
      u: .normal([rows, rank ?? columns], deviation: deviation, stream: &stream),
      v: .normal([rank ?? columns, columns], stream: &stream))
    try delta.add(change)
  }
  return delta
}

@Suite struct WeightDeltaLaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  @Test(arguments: Precision.allCases)
  func `a delta acts beside the frozen weights, and is gone when it is taken away`(
    precision: Precision
  ) throws {
    let backbone = try Golden.backbone(precision)
    let frozen = backbone.weights.copied()
    let model = try backbone.makeClassifier(labels: 3, pooling: .cls, random: random)
    let plain = try model.evaluatedLogits(golden.batch)
    let adapted = try AdaptedModel(model, lora(), random: random)
    let names = adapted.trainables.map(\.name)
    try adapted.load(drawnDelta(adapted))
    let changed = try model.evaluatedLogits(golden.batch)
    #expect(!changed.isIdentical(to: plain))
    #expect(backbone.weights.isIdentical(to: frozen))
    #expect(adapted.trainables.map(\.name) == names)
    adapted.merge()
    let absolute = precision == .float32 ? 1e-5 : 0.05
    expectClose(
      try model.evaluatedLogits(golden.batch), changed, absolute: absolute, relative: 1e-3)
    adapted.unmerge()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: changed))
    try adapted.load(BaseDelta())
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
    try adapted.load(drawnDelta(adapted))
    adapted.detach()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
  }

  @Test func `an adapter's dropout draws the same beside a delta and without`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora { $0.dropout = 0.5 }, random: random)
    try adapted.scramble(seed: 1)
    let labels = try golden.file.tensor("labels")
    func loss() throws -> Tensor {
      try withoutGradient {
        model.loss(try golden.batch, labels: labels, random: random.substream("step"))
      }
    }
    let before = try loss()
    try adapted.load(drawnDelta(adapted, deviation: 0))
    adapted.merge()
    adapted.unmerge()
    #expect(try loss().isIdentical(to: before))
    try adapted.load(BaseDelta())
    #expect(try loss().isIdentical(to: before))
  }

  @Test func `additions that bfloat16 weights would lose are kept`() throws {
    let adapted = try AdaptedModel(Golden.model(.cls, .bfloat16), lora(), random: random)
    let model = try #require(adapted.model as? TextClassifier)
    let plain = try model.evaluatedLogits(golden.batch)
    let site = try #require(adapted.factorPairs.first?.site)
    let weight = try #require(
      model.parameters.first { $0.key.hasSuffix("\(site).weight") }?.parameter.value)
    // A thousandth of every weight is below half a step of bfloat16, which has eight digits.
    let small = weight.to(.float32) * 1e-3
    #expect((weight.to(.float32) + small).to(.bfloat16).isIdentical(to: weight))
    var change = BaseChange()
    let size = weight.size(1)
    change.add(
      site, u: small,
      v: Tensor.range(0, size).oneHot(classes: size).to(.float32))
    var delta = BaseDelta()
    for _ in 0..<200 { try delta.add(change) }
    try adapted.load(delta)
    expectClose(
      try #require(adapted.baseDelta.sites[site]), small * 200, absolute: 1e-6, relative: 1e-4)
    #expect(!(try model.evaluatedLogits(golden.batch).isIdentical(to: plain)))
  }

  @Test func `a delta of an unknown site or another shape is refused and changes nothing`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora(), random: random)
    let plain = try model.evaluatedLogits(golden.batch)
    let site = try #require(adapted.factorPairs.first?.site)
    for (name, rows) in [("no.such", 32), (site, 31)] {
      var (delta, change) = (try drawnDelta(adapted), BaseChange())
      delta = name == site ? BaseDelta() : delta
      change.add(name, u: .ones([rows, 1]), v: .ones([1, 32]))
      try delta.add(change)
      let error = #expect(throws: ApusError.self) { try adapted.load(delta) }
      #expect(error?.code == .shapeMismatch)
      #expect(adapted.baseDelta.isEmpty)
      #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
    }
  }

  /// Configurations whose deltas have to go into a folder, and the ranks of the deltas.
  static let cases: [(name: String, configuration: AdapterConfiguration, rank: Int?)] = [
    ("few", lora { ($0.rank, $0.alpha) = (3, 6) }, 2),
    ("full", lora { $0.useRSLoRA = true }, nil),
    (
      "patterns",
      lora {
        $0.targets = .names(["query", "dense"])
        $0.rankPattern = ["intermediate.dense": 2]
        $0.alphaPattern = ["query": 3]
        $0.bias = .adapted
      }, 31
    ),
  ]

  @Test(arguments: cases.indices)
  func `a folder holds adapter and delta as one LoRA`(index: Int) throws {
    let (_, configuration, rank) = Self.cases[index]
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, configuration, random: random)
    try adapted.scramble(seed: 4)
    let alone = adapted.folder(
      baseModel: "tiny", notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"]))
    #expect(alone.configuration == configuration)
    try adapted.load(drawnDelta(adapted, rank: rank))
    let logits = try model.evaluatedLogits(golden.batch)
    let made = adapted.folder(baseModel: "tiny", notes: try #require(alone.notes))
    if index == 0 { #expect(made.configuration.rank == 5 && made.configuration.alpha == 5) }
    try withTemporaryFolder { folder in
      try made.write(to: folder)
      let again = try Golden.model()
      _ = try AdaptedModel(again, AdapterFolder(reading: folder))
      expectClose(
        try again.evaluatedLogits(golden.batch), logits, absolute: 2e-5, relative: 1e-4)
    }
  }

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `such folders give the same logits in Python's PEFT`() throws {
    try withTemporaryFolder { parent in
      var folders: [URL] = []
      var expected: [Tensor] = []
      for (name, configuration, rank) in Self.cases {
        let model = try Golden.model()
        let adapted = try AdaptedModel(model, configuration, random: random)
        try adapted.scramble(seed: 4)
        try adapted.load(drawnDelta(adapted, rank: rank))
        folders.append(parent.appending(path: name))
        try adapted.folder(
          baseModel: "tiny", notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"])
        ).write(to: parent.appending(path: name))
        expected.append(try model.evaluatedLogits(golden.batch))
      }
      let found = try Oracle.ask(
        Golden.folder.appending(path: "tiny"), (golden.examples, golden.types), adapters: folders)
      for (index, logits) in expected.enumerated() {
        expectClose(
          logits, try found.tensor("logits.\(index)"), absolute: 2e-5, relative: 1e-4,
          Self.cases[index].name)
      }
    }
  }
}

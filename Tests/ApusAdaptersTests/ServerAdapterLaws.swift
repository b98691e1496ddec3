import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Testing

@testable import ApusAdapters

/// Laws of what servers with ranks, depths and sparse entries of their own ask of a model.
@Suite struct ServerAdapterLaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  private func loss(_ model: TextClassifier) throws -> Tensor {
    model.loss(
      try golden.batch, labels: try golden.file.tensor("labels"),
      random: random.substream("step"))
  }

  @Test func `below the lowest adapter that trains nothing is in the graph`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora(), random: random)
    try adapted.scramble(seed: 1)
    let low = adapted.trainables.filter { $0.name.contains("layer.0.") }.map(\.leaf)
    let high = adapted.trainables.filter { $0.name.contains("layer.1.") }.map(\.leaf)
    #expect(!low.isEmpty && !high.isEmpty)
    let whole = try loss(model).gradients(by: high)
    for leaf in low { leaf.requireGradientInPlace(false) }
    let member = try #require(adapted.adapters[0].members.first { $0.path.contains("layer.0.") })
    let rows = Tensor.ones([3, member.site.base.inputs])
    let pass = ForwardPass(layout: RowLayout(lengths: [3]))
    #expect(!member.site(rows, pass).requiresGradient)
    let found = try loss(model).gradients(by: high)
    for (a, b) in zip(found, whole) {
      #expect(try #require(a).isIdentical(to: try #require(b)))
    }
    for leaf in low { leaf.requireGradientInPlace(true) }
    #expect(member.site(rows, pass).requiresGradient)
    #expect(try loss(model).gradients(by: low).allSatisfy { $0 != nil })
    try Tensor.check()
  }

  @Test func `a scaling that is set acts, and goes back to the configured one`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora(), random: random)
    try adapted.scramble(seed: 1)
    let plain = try model.evaluatedLogits(golden.batch)
    let pair = adapted.factorPairs[0]
    try adapted.rescale([pair.site: pair.scaling * 3])
    let scaled = try model.evaluatedLogits(golden.batch)
    #expect(!scaled.isIdentical(to: plain))
    #expect(adapted.factorPairs[0].scaling == pair.scaling * 3)
    adapted.merge()
    expectClose(
      try model.evaluatedLogits(golden.batch), scaled, absolute: 1e-4, relative: 1e-4)
    try adapted.rescale([:])
    adapted.unmerge()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
    #expect(throws: ApusError.self) { try adapted.rescale(["no.such": 1]) }
  }

  @Test func `a delta acts as factors as it does as a matrix, in the model and merged`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora(), random: random)
    try adapted.scramble(seed: 1)
    var stream = RandomStream(seed: 3)
    var (thin, whole) = (BaseChange(), BaseChange())
    for pair in adapted.factorPairs {
      let (u, v) = (
        Tensor.normal([32, 2], deviation: 0.1, stream: &stream),
        Tensor.normal([2, 32], deviation: 0.1, stream: &stream)
      )
      thin.add(pair.site, u: u, v: v)
      whole.add(pair.site, matrix: matmul(u, v))
    }
    var (factors, matrices) = (BaseDelta(), BaseDelta())
    try factors.add(thin)
    try matrices.add(whole)
    #expect(factors.elementCount < matrices.elementCount)
    try adapted.load(matrices)
    let expected = try model.evaluatedLogits(golden.batch)
    try adapted.load(factors)
    expectClose(
      try model.evaluatedLogits(golden.batch), expected, absolute: 1e-5, relative: 1e-5)
    adapted.merge()
    expectClose(
      try model.evaluatedLogits(golden.batch), expected, absolute: 1e-5, relative: 1e-4)
  }

  @Test func `tuned entries train beside LoRA, and frozen weights are seen as they are`() throws {
    let model = try Golden.model()
    let plain = try model.evaluatedLogits(golden.batch)
    let adapted = try AdaptedModel(model, lora(), random: random)
    var parts = ModelExtension()
    parts.sparse = SparsePlan(density: 0.1, seed: 1)
    try adapted.extend(by: parts, random: random)
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
    let entries = adapted.trainables.filter { SparsePlan.contains($0.name) }
    #expect(entries.count == adapted.factorPairs.count)
    let gradients = try loss(model).gradients(by: entries.map(\.leaf))
    #expect(gradients.allSatisfy { $0?.anyTrue == true })
    let pair = adapted.factorPairs[0]
    let weight = try #require(adapted.frozenWeights[pair.site])
    let name = SparsePlan.name(besideA: pair.a)
    let mask = try #require(parts.sparse).mask(pair.site, shape: weight.shape, rank: 8)
    #expect(
      try #require(adapted.values[name]).isIdentical(to: mask.entries(of: weight)))
    try adapted.load(NamedTensors([name: .zeros([mask.count])]))
    #expect(!(try model.evaluatedLogits(golden.batch).isIdentical(to: plain)))
  }

  @Test func `folders of unlike ranks state them, and hold a base delta in their factors`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora { $0.rank = 3 }, random: random)
    try adapted.scramble(seed: 1)
    let folder = adapted.folder(
      baseModel: "base", notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"]))
    let pairs = try folder.factorPairs
    #expect(pairs.map(\.site).sorted() == adapted.factorPairs.map(\.site).sorted())
    #expect(pairs.allSatisfy { abs($0.scaling - 8.0 / 3) < 1e-12 })
    var (change, delta) = (BaseChange(), BaseDelta())
    var stream = RandomStream(seed: 3)
    change.add(
      pairs[0].site, u: .normal([32, 2], deviation: 0.2, stream: &stream),
      v: .normal([2, 32], deviation: 0.2, stream: &stream))
    try delta.add(change)
    try adapted.load(delta)
    let expected = try model.evaluatedLogits(golden.batch)
    let whole = folder.holding(adapted.values.merging(delta.named), pairs)
    let other = try Golden.model()
    let opened = try AdaptedModel(other, whole)
    expectClose(
      try other.evaluatedLogits(golden.batch), expected, absolute: 1e-5, relative: 1e-4)
    #expect(opened.adapters[0].members.map(\.adapter.rank).max() == 5)
  }
}

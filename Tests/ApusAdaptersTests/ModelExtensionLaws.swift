import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Testing

@testable import ApusAdapters

@Suite struct ModelExtensionLaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  private func extended(_ change: (inout ModelExtension) -> Void) throws -> AdaptedModel {
    let adapted = try AdaptedModel(
      Golden.model(), lora { ($0.rank, $0.alpha) = (4, 8) }, random: random)
    var parts = ModelExtension()
    change(&parts)
    try adapted.extend(by: parts, random: random.substream("extension"))
    return adapted
  }

  @Test func `further sets have the standard one's sites and scaling, and the rank they ask for`()
    throws
  {
    let adapted = try extended { $0.adapters = [.init("local"), .init("light", rank: 1)] }
    let sets = adapted.adapters
    #expect(sets.map(\.name) == ["default", "local", "light"])
    #expect(sets.map { $0.members[0].adapter.rank } == [4, 4, 1])
    for set in sets {
      #expect(set.factorPairs.map(\.scaling) == sets[0].factorPairs.map(\.scaling))
      #expect(
        set.factorPairs.map(\.a)
          == sets[0].factorPairs.map { AdapterName.tensor($0.a, in: set.name) })
    }
    // A folder holds the standard set alone.
    let alone = try extended { _ in }
    #expect(adapted.storedValues.names == alone.storedValues.names)
    #expect(adapted.storedValues.isIdentical(to: alone.storedValues))
  }

  @Test func `a gate and factors of ranks train beside the set, under names of their own`() throws {
    let adapted = try extended {
      $0.adapters = [.init("rest")]
      $0.hasGate = true
      $0.hasDiagonal = true
    }
    let names = adapted.trainables.map(\.name)
    for pair in adapted.adapters[0].factorPairs {
      #expect(names.contains(ModelExtension.gate(besideA: pair.a)))
      let diagonal = ModelExtension.diagonal(besideA: pair.a)
      #expect(adapted.values[diagonal]?.floats == [1, 1, 1, 1])
      #expect(adapted.values[ModelExtension.gate(besideA: pair.a)]?.size(0) == 2)
    }
  }

  @Test func `ones change no bit, zeros take ranks away, and merging knows the factors`() throws {
    let plain = try AdaptedModel(
      Golden.model(), lora { ($0.rank, $0.alpha) = (4, 8) }, random: random)
    let adapted = try extended { $0.hasDiagonal = true }
    for model in [plain, adapted] { try model.scramble(seed: 3) }
    try adapted.load(plain.values)
    for pair in plain.factorPairs {
      let name = ModelExtension.diagonal(besideA: pair.a)
      try adapted.load(NamedTensors([name: .ones([4])]))
    }
    func logits(_ model: AdaptedModel) throws -> Tensor {
      let classifier = try #require(model.model as? any SequenceClassifier)
      return classifier.evaluatedLogits(try golden.batch)
    }
    #expect(try logits(adapted).isIdentical(to: try logits(plain)))
    let kept = Tensor([1, 0, 0, 2] as [Float], shape: [4])
    for pair in plain.factorPairs {
      try adapted.load(NamedTensors([ModelExtension.diagonal(besideA: pair.a): kept]))
      let b = try #require(plain.values[pair.b])
      try plain.load(NamedTensors([pair.b: b * kept]))
    }
    let expected = try logits(plain)
    expectClose(try logits(adapted), expected, absolute: 1e-6, relative: 1e-5)
    adapted.merge()
    expectClose(try logits(adapted), expected, absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: [false, true])
  func `files hold factors of ranks in B, beside a base delta too`(hasDelta: Bool) throws {
    let adapted = try extended { $0.hasDiagonal = true }
    try adapted.scramble(seed: 3)
    if hasDelta {
      var (change, delta, stream) = (BaseChange(), BaseDelta(), RandomStream(seed: 4))
      let site = adapted.factorPairs[0].site
      change.add(
        site, u: .normal([32, 2], deviation: 0.2, stream: &stream),
        v: .normal([2, 32], deviation: 0.2, stream: &stream))
      try delta.add(change)
      try adapted.load(delta)
    }
    let folder = adapted.folder(
      baseModel: nil, notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"]))
    #expect(folder.tensors.names.allSatisfy { !$0.contains("diagonal") })
    let (model, plain) = (try #require(adapted.model as? TextClassifier), try Golden.model())
    _ = try AdaptedModel(plain, folder)
    let expected = try model.evaluatedLogits(golden.batch)
    expectClose(
      try plain.evaluatedLogits(golden.batch), expected, absolute: 1e-5, relative: 1e-4)
    // The factors matter.
    for pair in adapted.factorPairs {
      try adapted.load(NamedTensors([ModelExtension.diagonal(besideA: pair.a): .ones([4])]))
    }
    #expect(!(try model.evaluatedLogits(golden.batch).isIdentical(to: expected)))
  }

  @Test func `a method's own tensors are made to measure`() throws {
    let adapted = try extended {
      $0.own = { facts, _ in
        NamedTensors(["own.table": .zeros([facts.layers.count, facts.ranks.reduce(0, +)])])
      }
    }
    // Six projections in each of two blocks, and what the golden model has behind them.
    let shape = try #require(adapted.values["own.table"]?.shape)
    #expect(shape == [adapted.linearLayers.count, 4 * 4])
    #expect(adapted.linearLayers.map(\.path) == adapted.linearLayers.map(\.path).sorted())
  }
}

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct DyLoRALaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  private func step(_ index: Int, _ model: AdaptedModel, seed: UInt64 = 1) -> LocalStep {
    let phase = LocalPhase(
      trainables: model.trainables, stepCount: 100, fullStepCount: 100, round: nil)
    return LocalStep(
      phase, index: index, random: RandomStream(seed: seed).substream("step", index))
  }

  private func adapters(of model: AdaptedModel) -> [DyLoRA] {
    model.adapters[0].members.compactMap { $0.adapter as? DyLoRA }
  }

  @Test func `at its whole rank it is the LoRA with the same factors`() throws {
    let (one, two) = (try Golden.model(), try Golden.model())
    let dynamic = try AdaptedModel(one, adapter(.dylora) { $0.alpha = 6 }, random: random)
    let plain = try AdaptedModel(two, adapter(.lora) { $0.alpha = 6 }, random: random)
    #expect(dynamic.values.isIdentical(to: plain.values))
    #expect(dynamic.factorPairs == plain.factorPairs)
    try dynamic.scramble(seed: 1)
    try plain.load(dynamic.values)
    let labels = try golden.file.tensor("labels")
    #expect(
      try one.evaluatedLogits(golden.batch).isIdentical(to: two.evaluatedLogits(golden.batch)))
    let (loss, other) = (
      one.loss(try golden.batch, labels: labels, random: nil),
      two.loss(try golden.batch, labels: labels, random: nil)
    )
    for (a, b) in zip(
      loss.gradients(by: dynamic.trainables.map(\.leaf)),
      other.gradients(by: plain.trainables.map(\.leaf)))
    {
      #expect(try #require(a).isIdentical(to: try #require(b)))
    }
  }

  @Test(arguments: 1..<5)
  func `cut to b it is the LoRA of the first b rows and columns with alpha / b`(b: Int) throws {
    let (one, two) = (try Golden.model(), try Golden.model())
    let dynamic = try AdaptedModel(
      one,
      adapter(.dylora) {
        ($0.alpha, $0.dylora.width) = (6, b)
      }, random: random)
    try dynamic.scramble(seed: 1)
    let cut = try AdaptedModel(
      two,
      adapter(.lora) {
        ($0.alpha, $0.rank) = (6, b)
      }, random: random)
    var values = dynamic.values
    for pair in dynamic.factorPairs {
      values[pair.a] = try #require(values[pair.a]).sliced(0, 0..<b)
      values[pair.b] = try #require(values[pair.b]).sliced(1, 0..<b)
    }
    try cut.load(values)
    expectClose(
      try one.evaluatedLogits(golden.batch), try two.evaluatedLogits(golden.batch),
      absolute: 1e-6, relative: 1e-5)
    let folder = dynamic.folder(
      baseModel: nil, notes: AdapterNotes(pooling: "cls", labels: ["a", "b", "c"]))
    #expect(folder.configuration == cut.configuration)
    #expect(folder.tensors.isIdentical(to: cut.storedValues))
  }

  @Test func `a step draws one rank for all sites, each equally often, and then it is whole`()
    throws
  {
    let adapted = try AdaptedModel(
      Golden.model(), adapter(.dylora) { $0.rankPattern = ["layer.0.attention.self.query": 2] },
      random: random)
    let hook = try #require(adapted.makeStepHooks().first)
    var counts = [Int](repeating: 0, count: 5)
    for index in 0..<400 {
      try hook.beforeStep(step(index, adapted))
      let widths = adapters(of: adapted).map(\.width)
      #expect(widths[0] == min(2, widths[1]))
      #expect(Set(widths.dropFirst()).count == 1)
      counts[widths[1]] += 1
    }
    // Four deviations of the binomial: √(400·¼·¾) ≈ 8.7.
    #expect(counts[0] == 0 && counts.dropFirst().allSatisfy { abs($0 - 100) < 35 }, "\(counts)")
    try hook.beforeStep(step(3, adapted))
    let drawn = adapters(of: adapted)[1].width
    let again = try #require(adapted.makeStepHooks().first)
    try again.beforeStep(step(3, adapted))
    #expect(adapters(of: adapted)[1].width == drawn)
    hook.end(step(0, adapted).phase)
    #expect(adapters(of: adapted).map(\.width) == [2, 4, 4, 4])
  }

  @Test(arguments: DyLoRAOptions.Trained.allCases)
  func `masks leave the b-th row and column, or all up to them`(
    trained: DyLoRAOptions.Trained
  ) throws {
    let adapted = try AdaptedModel(
      Golden.model(), adapter(.dylora) { $0.dylora.trains = trained }, random: random)
    let hook = try #require(adapted.makeStepHooks().first)
    for index in 0..<8 {
      let step = step(index, adapted)
      try hook.beforeStep(step)
      let b = adapters(of: adapted)[0].width
      let expected = (1...4).map { $0 == b || (trained == .upTo && $0 < b) ? 1 : 0 } as [Float]
      let masks = try hook.masks(step)
      #expect(masks.count == 2 * adapted.factorPairs.count)
      for pair in adapted.factorPairs {
        let (a, b) = (try #require(masks[pair.a]), try #require(masks[pair.b]))
        #expect(a.allowed.shape == [4, 1] && b.allowed.shape == [1, 4])
        #expect(a.allowed.floats == expected && b.allowed.floats == expected)
        #expect((a.extent == .gradient) == (trained == .lastGradient))
      }
    }
  }

  @Test func `rows and columns behind b have no gradient at all`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, adapter(.dylora), random: random)
    try adapted.scramble(seed: 2)
    for adapter in adapters(of: adapted) { adapter.width = 2 }
    let loss = model.loss(
      try golden.batch, labels: try golden.file.tensor("labels"), random: nil)
    let leaves = Dictionary(uniqueKeysWithValues: adapted.trainables.map { ($0.name, $0.leaf) })
    for pair in adapted.factorPairs {
      let gradients = loss.gradients(
        by: [try #require(leaves[pair.a]), try #require(leaves[pair.b])], keepGraph: true)
      let (a, b) = (try #require(gradients[0]), try #require(gradients[1]))
      #expect(a.sliced(0, 2..<4).norm().item == 0 && b.sliced(1, 2..<4).norm().item == 0)
      #expect(a.sliced(0, 0..<2).norm().item > 0 && b.sliced(1, 0..<2).norm().item > 0)
    }
  }
}

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct AdaLoRALaws {
  let random = RandomStream(seed: 7)

  /// Four sites that begin with four triplets each and end with two of them on average.
  private func model() throws -> AdaptedModel {
    try AdaptedModel(
      Golden.model(),
      adapter(.adalora) {
        $0.rank = 2
        $0.adalora.initialRank = 4
        $0.adalora.initialShare = 0.2
        $0.adalora.interval = 2
      }, random: random)
  }

  private func adapters(of model: AdaptedModel) -> [AdaLoRA] {
    model.adapters[0].members.compactMap { $0.adapter as? AdaLoRA }
  }

  private func phase(
    _ model: AdaptedModel, round: Int = 0, of rounds: Int = 1, steps: Int = 20
  ) -> LocalPhase {
    LocalPhase(
      trainables: model.trainables, stepCount: steps, fullStepCount: steps,
      round: Round(index: round, total: rounds, root: RandomStream(seed: 1)))
  }

  /// A step with drawn gradients, as an optimizer would leave it: no element of E is zero.
  private func makeStep(
    _ index: Int, _ hook: any StepHook, _ model: AdaptedModel, _ phase: LocalPhase, seed: UInt64
  ) throws {
    let step = LocalStep(phase, index: index, random: RandomStream(seed: seed))
    try hook.beforeStep(step)
    var stream = RandomStream(seed: seed).substream("gradient", index)
    for adapter in adapters(of: model) {
      adapter.e.addInPlace(.normal(adapter.e.shape, deviation: 0.1, stream: &stream))
    }
    let gradients = model.trainables.map { name, leaf in
      (name, Tensor.normal(leaf.shape, stream: &stream))
    }
    try hook.afterStep(
      step, gradients: NamedTensors(Dictionary(uniqueKeysWithValues: gradients)))
  }

  private func kept(_ model: AdaptedModel) -> [[Bool]] {
    adapters(of: model).map { $0.e.floats.map { $0 != 0 } }
  }

  private func count(_ kept: [[Bool]]) -> Int { kept.joined().count { $0 } }

  @Test(arguments: [(16, 8, 100, 1), (90, 31, 37, 3), (12, 12, 10, 1), (6, 9, 10, 2), (5, 1, 1, 1)])
  func `the budget falls along a cubic from the first to the last number`(
    start: Int, end: Int, steps: Int, interval: Int
  ) {
    var options = AdaLoRAOptions()
    options.interval = interval
    let budget = AdaLoRABudget(from: start, to: end, steps: steps, options)
    let (first, last) = (
      Int((0.1 * Double(steps)).rounded()), steps - Int((0.3 * Double(steps)).rounded())
    )
    #expect(budget.initialSteps == first && budget.lastAllocation == last)
    let counts = (1...steps).map { budget.kept(after: $0) }
    #expect(zip(counts, counts.dropFirst()).allSatisfy { $0.count >= $1.count })
    for (t, (count, isAllocation)) in zip(1..., counts) {
      if t <= first {
        #expect(count == start && !isAllocation)
      } else if t >= last {
        #expect(count == min(start, end) && isAllocation)
      } else {
        let share = 1 - Double(t - first) / Double(last - first)
        let exact = Double(start - min(start, end)) * share * share * share
        #expect(abs(Double(count - min(start, end)) - exact) <= 1)
        #expect(isAllocation == t.isMultiple(of: interval))
      }
    }
  }

  @Test(arguments: 0..<5)
  func `after an allocation exactly the budget acts, and at the end the triplets stay`(
    seed: UInt64
  ) throws {
    let adapted = try model()
    let hook = try #require(adapted.makeStepHooks().first)
    let phase = phase(adapted)
    try hook.begin(phase)
    let budget = AdaLoRABudget(
      from: 16, to: 8, steps: 20, adapted.configuration.adalora)
    #expect(budget.lastAllocation == 14)
    var final: [[Bool]]?
    for index in 0..<20 {
      try makeStep(index, hook, adapted, phase, seed: seed)
      let (wanted, isAllocation) = budget.kept(after: index + 1)
      let kept = kept(adapted)
      #expect(count(kept) == (isAllocation ? wanted : 16), "step \(index + 1)")
      guard index + 1 >= budget.lastAllocation else { continue }
      #expect(kept == final ?? kept)
      final = kept
    }
    #expect(count(try #require(final)) == 8)
  }

  @Test func `a score is that of its element of E and the means over its vectors`() throws {
    let adapted = try model()
    let hook = try #require(adapted.makeStepHooks().first)
    // Triplet i of site k has the gradient 4k + i + 1 everywhere, and weights of one.
    var gradients: [String: Tensor] = [:]
    for (site, adapter) in adapters(of: adapted).enumerated() {
      let row = Tensor((0..<4).map { Float(4 * site + $0 + 1) }, shape: [4, 1])
      for (suffix, leaf) in adapter.leaves {
        leaf.fillInPlace(1)
        let name = "base_model.model.\(adapted.adapters[0].members[site].path).\(suffix)"
        gradients[name] =
          leaf.zerosLike + (suffix == "lora_B" ? row.matrixTransposed : row)
      }
    }
    let phase = phase(adapted)
    try hook.begin(phase)
    for index in 0..<20 {
      let step = LocalStep(phase, index: index, random: random)
      try hook.beforeStep(step)
      try hook.afterStep(step, gradients: NamedTensors(gradients))
    }
    #expect(kept(adapted).joined().elementsEqual((0..<16).map { $0 >= 8 }))
  }

  @Test func `clients of a late round keep the same triplets, those with the largest E`() throws {
    let (one, two) = (try model(), try model())
    for adapter in adapters(of: one) {
      var stream = random.substream("e", adapter.rank)
      adapter.e.assignInPlace(.normal([4, 1], stream: &stream))
    }
    for (index, adapter) in adapters(of: one).enumerated() {
      adapter.e.scaleInPlace(Double(index + 1))
    }
    try two.load(one.values)
    let sizes = adapters(of: one).flatMap { $0.e.magnitude.doubles }
    let threshold = sizes.sorted(by: >)[7]
    for (seed, adapted) in [(1, one), (2, two)] as [(UInt64, AdaptedModel)] {
      let hook = try #require(adapted.makeStepHooks().first)
      let phase = phase(adapted, round: 9, of: 10, steps: 3)
      try hook.begin(phase)
      for index in 0..<3 {
        try makeStep(index, hook, adapted, phase, seed: seed)
        #expect(
          kept(adapted).joined().elementsEqual(sizes.map { $0 >= threshold }), "step \(index)")
      }
    }
    let mean = NamedTensors(
      Dictionary(
        uniqueKeysWithValues: one.values.map {
          ($0.name, $0.tensor + (two.values[$0.name] ?? $0.tensor))
        }))
    try one.load(mean)
    #expect(count(kept(one)) == 8)
  }

  @Test func `orthonormal P and Q cost nothing, others the mean of their gaps`() throws {
    let adapted = try model()
    let hook = try #require(adapted.makeStepHooks().first)
    let step = LocalStep(phase(adapted), index: 0, random: random)
    var stream = random
    for adapter in adapters(of: adapted) {
      adapter.p.assignInPlace(qr(.normal([32, 4], stream: &stream)).q)
      adapter.q.assignInPlace(qr(.normal([32, 4], stream: &stream)).q.matrixTransposed)
    }
    #expect(try #require(try hook.penalty(step)).item < 1e-6)
    // PᵀP of one site becomes 4·I, and ‖3·I‖ = 6; it is one of eight matrices, and γ = 0.5.
    adapters(of: adapted)[1].p.scaleInPlace(2)
    let penalty = try #require(try hook.penalty(step))
    #expect(abs(penalty.item - 0.5 * 6 / 8) < 1e-5)
    #expect(penalty.gradients(by: [adapters(of: adapted)[1].p])[0]?.isFinite.allTrue == true)
    let free = try AdaptedModel(
      Golden.model(), adapter(.adalora) { $0.adalora.orthogonality = 0 }, random: random)
    #expect(try #require(free.makeStepHooks().first).penalty(step) == nil)
  }

  @Test func `without a round the total is asked for, and a total that is given counts`() throws {
    let adapted = try model()
    let phase = LocalPhase(
      trainables: adapted.trainables, stepCount: 20, fullStepCount: 20, round: nil)
    let error = #expect(throws: ApusError.self) {
      try #require(adapted.makeStepHooks().first).begin(phase)
    }
    #expect(error?.code == .silentFailure)
    let given = try AdaptedModel(
      Golden.model(),
      adapter(.adalora) {
        ($0.rank, $0.adalora.initialRank, $0.adalora.totalSteps) = (2, 4, 4)
      }, random: random)
    let hook = try #require(given.makeStepHooks().first)
    try hook.begin(phase)
    for index in 0..<4 { try makeStep(index, hook, given, phase, seed: 3) }
    #expect(count(kept(given)) == 8)
  }

  @Test func `beginning with the final rank masks nothing`() throws {
    let adapted = try AdaptedModel(
      Golden.model(), adapter(.adalora) { $0.adalora.initialRank = 4 }, random: random)
    let hook = try #require(adapted.makeStepHooks().first)
    let phase = phase(adapted)
    try hook.begin(phase)
    for index in 0..<20 { try makeStep(index, hook, adapted, phase, seed: 1) }
    #expect(count(kept(adapted)) == 16)
  }
}

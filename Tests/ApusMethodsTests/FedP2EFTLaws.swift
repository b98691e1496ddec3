import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusMethods

private func makeMethod(_ change: (inout FedP2EFT.Options) -> Void = { _ in }) -> FedP2EFT {
  var options = FedP2EFT.Options()
  options.budget = 1
  change(&options)
  return FedP2EFT(options)
}

private let facts = ModelFacts(
  layers: ["first", "second"], factorPairs: ToyTrainer.pairs, ranks: [2, 2])
private let names = ["first.lora_diagonal.weight", "second.lora_diagonal.weight"]

private func makeGenerator(seed: UInt64 = 1) -> StrategyGenerator {
  StrategyGenerator(StrategyGenerator.initial(facts, RandomStream(seed: seed)))
}

/// The properties of the method's card, by their numbers; 8 is that of ``RunningMoments``.
@Suite struct FedP2EFTLaws {
  @Test func `1: with ones it is LoRA, and a zero takes its rank away`() throws {
    let (trainer, plain) = (
      ToyFederation.makeTrainers(for: makeMethod())[0], ToyTrainer(client: 0, rows: 4)
    )
    let values = drawn(like: plain.initial, seed: 2)
    try plain.load(values)
    try trainer.load(values)
    #expect(trainer.answers(adapted: true).isIdentical(to: plain.answers(adapted: true)))
    let (keep, drop) = (
      Tensor([1, 0] as [Float], shape: [2]), Tensor([1, 0] as [Float], shape: [1, 2])
    )
    try trainer.load(NamedTensors([names[0]: keep]))
    try plain.load(
      values.filtered { $0 == "first.lora_B.weight" }.mapValues { $0 * drop })
    expectClose(trainer.answers(adapted: true), plain.answers(adapted: true), absolute: 1e-6)
  }

  @Test func `2: a fresh generator finds every rank equally unimportant`() {
    var stream = RandomStream(seed: 3)
    let generator = makeGenerator()
    for scale in [0, 1, 100] {
      let statistics = Tensor.normal([4], stream: &stream) * Double(scale)
      for value in generator(statistics).doubles { #expect(abs(value - 1e-4) < 1e-5) }
    }
  }

  @Test func `3: clamping acts forward, and lets the gradient through`() throws {
    let x = Tensor([-5, 0.5, 5000] as [Double], shape: [3]).requiringGradient()
    let clamped = clampedStraightThrough(x, low: 1e-4, high: 1000)
    expectClose(
      clamped, Tensor([1e-4, 0.5, 1000] as [Double], shape: [3]), absolute: 1e-9)
    #expect(try #require(clamped.sum().gradients(by: [x])[0]).doubles == [1, 1, 1])
  }

  @Test func `4: the penalties drive importances down, to where they balance`() throws {
    let settings = FedP2EFT.Options()
    let start = ToyFederation.makeTrainers(for: makeMethod())[0].initial
    func penalty(_ importance: Tensor, moved: Double) -> Tensor? {
      let b = Tensor.full([5, 2], moved)
      let phase = LocalPhase(
        trainables: [("first.lora_B.weight", b), (names[0], importance)], stepCount: 1,
        fullStepCount: 1, round: nil)
      return settings.penalty(phase, of: ToyTrainer.pairs, from: start, rows: 7)
    }
    let idle = Tensor.full([2], 0.3).requiringGradient()
    let slope = try #require(penalty(idle, moved: 0)?.gradients(by: [idle])[0])
    #expect((slope .> 0).allTrue)
    // 100λ² + λ = ‖B[:, j] − B⁰[:, j]‖₁·α_s/α_p, where the sum has no slope.
    let right = 5 * 1e-6 * settings.significance / settings.sparsity
    let balance = (-1 + (1 + 400 * right).squareRoot()) / 200
    let still = Tensor([balance, balance], shape: [2]).requiringGradient()
    let flat = try #require(penalty(still, moved: 1e-6)?.gradients(by: [still])[0])
    let scale = settings.sparsity / 7 * (1 / balance + 100)
    #expect(flat.doubles.allSatisfy { abs($0) < 1e-5 * scale })
  }

  @Test(arguments: [1, 2, 3])
  func `5: a client's model keeps the budget's ranks, and smaller ones are part of larger`(
    budget: Int
  ) async throws {
    let federation = try ToyFederation(makeMethod { $0.budget = budget })
    try await federation.run(0..<3)
    _ = try await federation.evaluate(0)
    let kept = names.flatMap { federation.trainers[0].trainables[$0]?.doubles ?? [] }
    #expect(kept.filter { $0 != 0 }.count == min(2 * budget, 4))
    let smaller = try ToyFederation(makeMethod())
    try await smaller.run(0..<3)
    _ = try await smaller.evaluate(0)
    let few = names.flatMap { smaller.trainers[0].trainables[$0]?.doubles ?? [] }
    for (small, large) in zip(few, kept) where small != 0 { #expect(small == large) }
  }

  @Test func `6: each stage moves what it is for, and the adapter is thrown away`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    let initial = federation.trainers[0].initial
    let stage = initial.filtered {
      names.contains($0) || TensorRoles([.a, .b]).contains(named: $0)
    }
    #expect(federation.trainers[0].phases == [stage.names])
    #expect(
      federation.trainers[0].trainables.filtered(.beside)
        .isIdentical(to: initial.filtered(.beside)))
    let update = try #require(federation.updates[0]?.tensors)
    #expect(update.names == initial.filtered(.beside).names)
    #expect(!update.isIdentical(to: initial.filtered(.beside)))
    // 2M = 4 inputs, h = 8, LR = 4: h·2M + h + 1 + LR·h + LR.
    #expect(update.elementCount == 8 * 4 + 8 + 1 + 4 * 8 + 4)
    #expect(federation.personal(0).isEmpty)
    #expect(federation.server.global.filtered(.all).isIdentical(to: initial.filtered(.all)))
  }

  @Test func `7: a generator that is asked again and again tells one client's importances`() throws
  {
    var stream = RandomStream(seed: 4)
    var generator = makeGenerator()
    let statistics = Tensor.normal([4], stream: &stream)
    let wanted = Tensor([0.002, 0.5, 0.1, 0.03] as [Float], shape: [4])
    func gap() -> Double { (generator(statistics) - wanted).magnitude.sum().item }
    let before = gap()
    for _ in 0..<300 { try generator.fit(statistics, to: wanted, steps: 10, rate: 1e-3) }
    #expect(gap() < 0.05 * before)
  }

  @Test func `a measured client trains with the importances fixed, and keeps nothing`()
    async throws
  {
    let federation = try ToyFederation(makeMethod { $0.trainsHead = true })
    try await federation.run(0..<1)
    let before = try federation.stored()
    let first = try await federation.evaluate(1)
    let trainer = federation.trainers[1]
    #expect(trainer.moved == trainer.initial.filtered(.all).names)
    #expect(try await federation.evaluate(1) == first)
    #expect(try federation.stored() == before)
  }

  @Test func `a bound on the steps bounds training, not what the client says of its data`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1, stepLimit: 1)
    #expect(federation.updates.values.allSatisfy { $0.fields["steps"] == .int(1) })
  }
}

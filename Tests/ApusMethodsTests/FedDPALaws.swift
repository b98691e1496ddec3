import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusMethods

private func makeMethod(_ change: (inout FedDPA.Options) -> Void = { _ in }) -> FedDPA {
  var options = FedDPA.Options()
  change(&options)
  return FedDPA(options)
}

private func expectFedIT(_ federation: ToyFederation) async throws {
  let plain = try ToyFederation(FedIT(FedIT.Options()))
  try await federation.run(0..<4)
  try await plain.run(0..<4)
  #expect(
    federation.server.global.filtered(.all).isIdentical(to: plain.server.global))
}

/// The properties of the method's card, by their numbers.
@Suite struct FedDPALaws {
  @Test func `1: the local phase moves the local adapter alone, the global one the others`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let names = federation.trainers[0].initial
    for trainer in federation.trainers {
      #expect(
        trainer.phases == [
          names.filtered(.all).names, names.ofAdapter("local").names, names.filtered(.all).names,
        ])
    }
    for (name, tensor) in federation.personal(0) where name.contains("lora_B") {
      #expect(tensor.anyTrue, "\(name)")
    }
  }

  @Test func `2: halves of both adapters are the mean of their changes`() throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    try trainer.load(
      drawn(like: trainer.initial.filtered { $0.contains("second") }, seed: 6))
    func answers(_ local: Double, _ global: Double) throws -> Tensor {
      try trainer.load(
        AdapterMixture(["local": .init(.constant(local)), "default": .init(.constant(global))]))
      return trainer.answers(adapted: true)
    }
    // The first layer's adapters are zero, so that scores are linear in the second's.
    let (none, half) = (try answers(0, 0), try answers(0.5, 0.5))
    let ends = (try answers(1, 0) - none) + (try answers(0, 1) - none)
    expectClose(half, none + ends * 0.5, absolute: 1e-6)
    try trainer.load(AdapterMixture.only("local", of: ["default", "local"]))
    #expect(trainer.answers(adapted: true).isIdentical(to: try answers(1, 0)))
  }

  @Test func `3: the first round trains no local adapter, and the second starts from zero`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    #expect(federation.trainers.allSatisfy { $0.phases.count == 1 })
    #expect(federation.personal(0).isEmpty)
    let trainer = federation.trainers[0]
    try trainer.load(trainer.initial.merging(federation.server.global))
    let mixture = ["local": 0.3, "default": 0.7].mapValues {
      AdapterMixture.Share(.constant($0))
    }
    try trainer.load(AdapterMixture(mixture))
    let both = trainer.answers(adapted: true)
    try trainer.load(AdapterMixture(["local": .none, "default": .init(.constant(0.7))]))
    #expect(trainer.answers(adapted: true).isIdentical(to: both))
  }

  @Test func `4: the global adapter goes the way of FedIT, bit for bit`() async throws {
    try await expectFedIT(try ToyFederation(makeMethod()))
    try await expectFedIT(try ToyFederation(makeMethod { $0.localShare = 0.9 }))
    try await expectFedIT(try ToyFederation(makeMethod { $0.schedule = .finetuning }))
  }

  @Test func `5: a row weighs λ beside its like, and never more`() {
    var stream = RandomStream(seed: 7)
    let rows = Tensor.normal([20, 6], stream: &stream)
    let own = Tensor.normal([9, 6], stream: &stream)
    func weights(_ own: Tensor, _ largest: Double) -> [Double] {
      InstanceWeights(
        of: rows, comparedWith: own, rows: 5, largest: largest, random: RandomStream(seed: 8)
      ).values
    }
    for largest in [0.5, 1] {
      #expect(weights(own, largest).allSatisfy { (0...largest).contains($0) })
      let same = InstanceWeights(
        of: rows.sliced(0, 0..<1), comparedWith: rows.sliced(0, 0..<1).expanded([5, 6]), rows: 5,
        largest: largest, random: RandomStream(seed: 8))
      #expect(abs(same.values[0] - largest) < 1e-6)
    }
    #expect(Set(weights(own, 1)).count > 5)
    #expect(weights(own.sliced(0, 0..<0), 1).allSatisfy { $0 == 0 })
  }

  @Test func `6: only the global adapter is sent, either way`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let names = federation.trainers[0].initial.filtered(.all).names
    #expect(federation.updates[0]?.tensors.names == names)
    #expect(try federation.brief(0).tensors.names == names)
    #expect(try federation.updates[0]?.payloadCount() == 4 * (2 * (4 + 5) + 2 * (5 + 3) + 3))
  }

  @Test func `7: a client that is not drawn keeps its local adapter, bit for bit`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let kept = federation.personal(1)
    #expect(kept.count == 4)
    try await federation.run(2..<4, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept))
  }

  @Test func `8: with equal adapters any mixture is the global model`() throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    try trainer.load(drawn(like: trainer.initial, seed: 9))
    try trainer.load(trainer.trainables.renamed(toAdapter: "local"))
    try trainer.load(AdapterMixture.only("default", of: ["default", "local"]))
    let global = trainer.answers(adapted: true)
    let alpha = Tensor([0, 0.2, 0.5, 1] as [Float], shape: [4])
    try trainer.load(
      AdapterMixture([
        "local": .init(.perExample(alpha)), "default": .init(.perExample(1 - alpha)),
      ]))
    expectClose(trainer.answers(adapted: true), global, absolute: 1e-5)
  }

  @Test func `fine-tuning happens where a client is measured, and leaves nothing behind`()
    async throws
  {
    let federation = try ToyFederation(makeMethod { $0.schedule = .finetuning })
    try await federation.run(0..<2)
    let before = try federation.stored()
    let first = try await federation.evaluate(1)
    #expect(federation.trainers[1].moved == federation.trainers[1].initial.ofAdapter("local").names)
    #expect(try await federation.evaluate(1) == first)
    #expect(try federation.stored() == before)
    #expect(try #require(first["mean_weight"]) <= 0.5)
  }

  @Test func `the released script's direction gives the global adapter the weight`() async throws {
    let local = try ToyFederation(makeMethod { $0.largestWeight = 1 })
    let global = try ToyFederation(
      makeMethod {
        $0.largestWeight = 1
        $0.weightTarget = .global
      })
    for federation in [local, global] { try await federation.run(0..<2) }
    let (one, other) = (try await local.evaluate(0), try await global.evaluate(0))
    #expect(one["mean_weight"] == other["mean_weight"])
    #expect(one["loss"] != other["loss"])
  }
}

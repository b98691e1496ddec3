import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod() -> FedALT { FedALT(FedALT.Options()) }

private func federation(clients: Int = 3) throws -> ToyFederation {
  let method = makeMethod()
  return try ToyFederation(
    method, trainers: ToyFederation.makeTrainers(for: method, clients: 0..<clients))
}

/// The properties of the method's card, by their numbers.
@Suite struct FedALTLaws {
  @Test func `1: a gate's weights are positive and sum to 1`() throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    var stream = RandomStream(seed: 1)
    for (name, weight) in trainer.initial where name.contains("adapter_gate") {
      let gate = AdapterGate(weight, for: ["default", "rest"])
      let weights = gate.weights(Tensor.normal([30, weight.size(1)], stream: &stream))
      #expect((weights .> 0).allTrue)
      expectClose(weights.sum([1]), .ones([30]), absolute: 1e-6)
    }
  }

  @Test func `2: first the others count for nothing, and nobody for anything`() async throws {
    let federation = try federation()
    #expect(try federation.brief(0).tensors.isEmpty)
    _ = try await federation.evaluate(0)
    let trainer = federation.trainers[0]
    #expect(trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
    try trainer.load(drawn(like: trainer.initial.filtered([.a, .b]), seed: 2))
    let gated = trainer.answers(adapted: true)
    try trainer.load(AdapterMixture(["default": .init(.gated), "rest": .none]))
    #expect(trainer.answers(adapted: true).isIdentical(to: gated))
    #expect(!gated.isIdentical(to: trainer.answers(adapted: false)))
  }

  @Test func `3: the others' adapter keeps every bit, own adapter, gate and head move`()
    async throws
  {
    let federation = try federation()
    try await federation.run(0..<1)
    let briefs = try (0..<3).map { try federation.brief($0).tensors }
    try await federation.run(1..<2)
    for (trainer, brief) in zip(federation.trainers, briefs) {
      #expect(brief.names == trainer.initial.ofAdapter("rest").names)
      #expect(trainer.trainables.ofAdapter("rest").isIdentical(to: brief))
      #expect(trainer.moved == trainer.initial.withoutAdapters(["rest"]).names)
      for (name, tensor) in trainer.trainables.withoutAdapters(["rest"]) {
        #expect(trainer.initial[name].map { tensor.isIdentical(to: $0) } == false, "\(name)")
      }
    }
  }

  @Test func `4: (K − 1) times the others' and once the own is the same for all`() async throws {
    let federation = try federation()
    try await federation.run(0..<2)
    let sums = try (0..<3).map { client in
      let own = try #require(federation.updates[client]?.tensors).renamed(toAdapter: "rest")
      return combined([(2, try federation.brief(client).tensors), (1, own)])
    }
    expectClose(sums[1], sums[0], absolute: 1e-5, relative: 1e-5)
    expectClose(sums[2], sums[0], absolute: 1e-5, relative: 1e-5)
  }

  @Test func `5: of two clients each sees the other's adapter, bit for bit`() async throws {
    let federation = try federation(clients: 2)
    try await federation.run(0..<2)
    for client in 0..<2 {
      let other = try #require(federation.updates[1 - client]?.tensors)
      #expect(
        try federation.brief(client).tensors.isIdentical(to: other.renamed(toAdapter: "rest")))
    }
  }

  @Test func `6: nothing overwrites a client's own adapter, gate and head`() async throws {
    let federation = try federation()
    try await federation.run(0..<2)
    let kept = (0..<3).map(federation.personal)
    for client in 0..<3 {
      _ = try await federation.evaluate(client)  // loads what the next round begins with
      #expect(
        federation.trainers[client].trainables.withoutAdapters(["rest"])
          .isIdentical(to: kept[client]))
    }
    try await federation.run(2..<3, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept[1]))
    // The absent one still counts for the others with what it last sent.
    let last = try #require(federation.updates[1]?.tensors).renamed(toAdapter: "rest")
    let other = try #require(federation.updates[2]?.tensors).renamed(toAdapter: "rest")
    expectClose(
      try federation.brief(0).tensors, combined([(0.5, last), (0.5, other)]), absolute: 1e-6,
      relative: 1e-6)
  }

  @Test func `7: with equal adapters the gate does not matter`() throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    let own = drawn(like: trainer.initial.filtered([.a, .b]), seed: 3)
    var server = makeMethod().server(
      ServerSetting(
        initial: trainer.initial, factorPairs: ToyTrainer.pairs, aggregation: Aggregation()))
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    for client in 0..<3 {
      try server.absorb(
        Message(tensors: own, sampleCount: 1), from: ClientID(index: client, name: ""), weight: 1,
        round: round)
    }
    _ = try server.finish(round: round)
    let brief = try server.brief(for: ClientID(index: 0, name: ""), round: round)
    expectClose(brief.tensors, own.renamed(toAdapter: "rest"), absolute: 1e-6, relative: 1e-6)
    try trainer.load(own)
    try trainer.load(AdapterMixture(["rest": .none]))
    let alone = trainer.answers(adapted: true)
    try trainer.load(own.renamed(toAdapter: "rest"))
    try trainer.load(
      AdapterMixture(["default": .init(.gated), "rest": .init(.gated)], sharesDropout: true))
    expectClose(trainer.answers(adapted: true), alone, absolute: 1e-5)
  }

  @Test func `8: a client sends its own A and B, and nothing else`() async throws {
    let federation = try federation()
    try await federation.run(0..<2)
    for update in federation.updates.values {
      #expect(update.tensors.names == ToyTrainer.pairs.flatMap { [$0.a, $0.b] })
    }
  }

  @Test func `clients can draw their first A by themselves`() async throws {
    var options = FedALT.Options()
    options.independentStart = true
    let federation = try ToyFederation(FedALT(options), training: ToyFederation.plain)
    try await federation.run(0..<1, stepLimit: 1)
    // With B = 0 the first step moves no A, so these are as they were drawn.
    let drawn = federation.updates.values.compactMap { $0.tensors["first.lora_A.weight"] }
    #expect(drawn.count == 3)
    for (index, a) in drawn.enumerated() {
      #expect((a.magnitude .<= 0.5).allTrue)
      #expect(drawn[..<index].allSatisfy { !$0.isIdentical(to: a) })
    }
  }
}

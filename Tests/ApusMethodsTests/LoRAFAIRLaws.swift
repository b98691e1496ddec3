import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeFAIR(strength: Double = 0.01) -> LoRAFAIR {
  var options = LoRAFAIR.Options()
  options.refinement.strength = strength
  return LoRAFAIR(options)
}

/// cos of the server's product and the mean of the clients' products.
private func cosine(_ cohort: DrawnCohort, _ sent: [Int: DrawnCohort.Factors]) -> Double {
  let (product, ideal) = (cohort.product, DrawnCohort.ideal(sent))
  return (product * ideal).sum().item / (product.norm().item * ideal.norm().item)
}

/// The properties of the method's card, by their numbers; those of the solver are in its own laws.
@Suite struct LoRAFAIRLaws {
  @Test(arguments: 0..<5 as Range<UInt64>)
  func `1: the product turns towards the mean of the products`(seed: UInt64) throws {
    var fair = try DrawnCohort(makeFAIR(), shape: [24, 20], seed: seed)
    var fedit = try DrawnCohort(FedIT(FedIT.Options()), shape: [24, 20], seed: seed)
    let sent = Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, fair.draw()) })
    try fair.run(0, sent)
    try fedit.run(0, sent)
    #expect(cosine(fair, sent) > cosine(fedit, sent))
    let reported = try #require(fair.metrics["aggregation_bias"])
    #expect(abs(reported - (try #require(fedit.metrics["aggregation_bias"]))) < 1e-9)
    let left = try #require(fair.metrics["remaining_bias"])
    let gap = (DrawnCohort.ideal(sent) - fair.product).norm().item
    #expect(abs(left - gap / DrawnCohort.ideal(sent).norm().item) < 1e-5)
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `2: one client, or equal A, or equal B, give FedIT`(seed: UInt64) throws {
    for kind in 0..<3 {
      var fair = try DrawnCohort(makeFAIR(), shape: [12, 9], seed: seed)
      var fedit = try DrawnCohort(FedIT(FedIT.Options()), shape: [12, 9], seed: seed)
      let drawn = (0..<(kind == 0 ? 1 : 4)).map { _ in fair.draw() }
      let sent = drawn.map {
        DrawnCohort.Factors(
          a: kind == 1 ? drawn[0].a : $0.a, b: kind == 2 ? drawn[0].b : $0.b, weight: $0.weight)
      }
      try fair.run(0, Dictionary(uniqueKeysWithValues: sent.enumerated().map { ($0, $1) }))
      try fedit.run(0, Dictionary(uniqueKeysWithValues: sent.enumerated().map { ($0, $1) }))
      expectClose(fair.server.global, fedit.server.global, absolute: 1e-6, relative: 0)
    }
  }

  @Test func `3: under a strong penalty it is FedIT`() throws {
    var fair = try DrawnCohort(makeFAIR(strength: 40), shape: [24, 20])
    var fedit = try DrawnCohort(FedIT(FedIT.Options()), shape: [24, 20])
    let sent = Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, fair.draw()) })
    try fair.run(0, sent)
    try fedit.run(0, sent)
    let gap = (fair.product - fedit.product).norm().item
    #expect(gap < 0.01 * fedit.product.norm().item)
  }

  @Test func `6: Ā is the weighted mean, and the frozen weights are never touched`() async throws {
    let federation = try ToyFederation(makeFAIR())
    let before = federation.trainers.map { $0.frozen.copied() }
    try await federation.run(0..<2)
    let mean = combined(federation.sharedUpdates())
    for pair in ToyTrainer.pairs {
      let found = try #require(federation.server.global[pair.a])
      #expect(found.isIdentical(to: try #require(mean[pair.a]).to(.float32)))
      #expect(!found.isIdentical(to: try #require(federation.trainers[0].initial[pair.a])))
    }
    for (trainer, frozen) in zip(federation.trainers, before) {
      #expect(trainer.frozen.isIdentical(to: frozen))
      #expect(trainer.baseDelta.isEmpty)
    }
  }

  @Test func `7: messages have FedIT's bytes, to the byte`() async throws {
    let fair = try ToyFederation(makeFAIR())
    let fedit = try ToyFederation(FedIT(FedIT.Options()))
    try await fair.run(0..<2)
    try await fedit.run(0..<2)
    for client in 0..<3 {
      #expect(try fair.brief(client).encoded().count == fedit.brief(client).encoded().count)
      let bytes = try fair.updates[client]?.encoded().count
      #expect(try bytes == fedit.updates[client]?.encoded().count)
    }
  }
}

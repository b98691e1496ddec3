import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeFedEx(residualRank: Int? = nil) -> FedExLoRA {
  var options = FedExLoRA.Options()
  options.residualRank = residualRank
  return FedExLoRA(options)
}

/// d_out and d_in: tall, wide, square, and too small for factors.
private let shapes = [[48, 16], [16, 48], [30, 30], [5, 4]]

/// The properties of the method's card, by their numbers.
@Suite struct FedExLoRALaws {
  @Test(arguments: shapes, 0..<5 as Range<UInt64>)
  func `1, 6, 7: the aggregation is exact for any shape, weights and cohort`(
    shape: [Int], seed: UInt64
  ) throws {
    var cohort = try DrawnCohort(makeFedEx(), shape: shape, seed: seed)
    for (index, members) in [[0, 1, 2, 3], [1, 3], [0, 2, 3]].enumerated() {
      let before = cohort.delta
      let sent = Dictionary(uniqueKeysWithValues: members.map { ($0, cohort.draw()) })
      try cohort.run(index, sent)
      expectClose(
        cohort.delta + cohort.product, before + DrawnCohort.ideal(sent), absolute: 1e-5)
    }
    try Tensor.check()
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `2: what is sent is Σ pₖ(Bₖ − B̄)(Aₖ − Ā), of rank (K − 1)r at most`(
    seed: UInt64
  ) throws {
    var cohort = try DrawnCohort(makeFedEx(), shape: [48, 32], seed: seed)
    let sent = Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, cohort.draw()) })
    try cohort.run(0, sent)
    try cohort.run(1, sent)
    let total = sent.values.reduce(0) { $0 + $1.weight }
    func mean(_ part: (DrawnCohort.Factors) -> Tensor) -> Tensor {
      stacked(sent.values.map { part($0).to(.float64) * ($0.weight / total) }).sum([0])
    }
    let (meanA, meanB) = (mean(\.a), mean(\.b))
    let centred = mean { matmul($0.b.to(.float64) - meanB, $0.a.to(.float64) - meanA) }
    let factors = cohort.received(0)
    let u = try #require(factors["base_delta.change.0.q.u"])
    let v = try #require(factors["base_delta.change.0.q.v"])
    #expect(u.shape == [48, 6] && v.shape == [6, 32])
    expectClose(
      matmul(u.to(.float64), v.to(.float64)), centred * DrawnCohort.pair.scaling, absolute: 5e-6)
    let reported = try #require(cohort.metrics["aggregation_bias"])
    let ideal = DrawnCohort.ideal(sent).norm().item / DrawnCohort.pair.scaling
    #expect(abs(reported - centred.norm().item / ideal) < 1e-5)
    #expect(abs(try #require(cohort.metrics["aggregation_bias/q"]) - reported) < 1e-12)
    let norm = try #require(cohort.metrics["aggregation_bias_norm"])
    #expect(cohort.metrics["aggregation_bias_norm/q"] == norm)
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `3: one client, or equal A, or equal B, leave the base alone`(seed: UInt64) throws {
    var cohort = try DrawnCohort(makeFedEx(), shape: [12, 9], seed: seed)
    let drawn = (0..<4).map { _ in cohort.draw() }
    let sameA = drawn.map { DrawnCohort.Factors(a: drawn[0].a, b: $0.b, weight: $0.weight) }
    let sameB = drawn.map { DrawnCohort.Factors(a: $0.a, b: drawn[0].b, weight: $0.weight) }
    try cohort.run(0, [2: drawn[2]])
    try cohort.run(1, Dictionary(uniqueKeysWithValues: sameA.enumerated().map { ($0, $1) }))
    try cohort.run(2, Dictionary(uniqueKeysWithValues: sameB.enumerated().map { ($0, $1) }))
    #expect(BaseDelta(in: cohort.server.global).isEmpty)
    #expect(cohort.received(0).isEmpty)
  }

  @Test func `4: a lower rank is the best approximation, and rank 0 is FedIT`() async throws {
    var exact = try DrawnCohort(makeFedEx(), shape: [24, 20])
    let sent = Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, exact.draw()) })
    try exact.run(0, sent)
    let values = svd(exact.delta).s.doubles
    var former = Double.infinity
    for rank in 0...6 {
      var cut = try DrawnCohort(makeFedEx(residualRank: rank), shape: [24, 20])
      try cut.run(0, sent)
      let error = (exact.delta - cut.delta).norm().item
      let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(error - expected) < 1e-5 * exact.delta.norm().item, "rank \(rank)")
      #expect(error < former)
      former = error
    }
    let (none, fedit) = (
      try ToyFederation(makeFedEx(residualRank: 0)), try ToyFederation(FedIT(FedIT.Options()))
    )
    try await none.run(0..<3)
    try await fedit.run(0..<3)
    #expect(none.server.global.isIdentical(to: fedit.server.global))
  }

  @Test func `5: all clients have the same bits, also those that missed rounds`() async throws {
    let federation = try ToyFederation(makeFedEx())
    try await federation.run(0..<1)
    try await federation.run(1..<4, cohort: [0, 1])
    try await federation.run(4..<5)
    let expected = BaseDelta(in: federation.server.global)
    _ = try await federation.evaluate(0)
    for (client, trainer) in federation.trainers.enumerated() {
      _ = try await federation.evaluate(client)
      #expect(!trainer.baseDelta.isEmpty)
      #expect(trainer.baseDelta.sites.isIdentical(to: expected.sites))
    }
    let stored = try federation.stored()
    #expect(stored[1] == stored[2] && stored[2] == stored[3])
  }

  @Test func `8: the card's example: residual 1, so that W grows by 1 to an effect of 5`() throws {
    var server = makeFedEx().server(
      ServerSetting(
        initial: NamedTensors(["A": .ones([1, 1]), "B": .zeros([1, 1])]),
        factorPairs: [FactorPair(site: "q", a: "A", b: "B", scaling: 1)],
        aggregation: Aggregation()))
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    for value in [1.0, 3] {
      let factors = NamedTensors(["A": .full([1, 1], value), "B": .full([1, 1], value)])
      var update = Message(tensors: factors, sampleCount: 6)
      BaseDeltaCopy().stamp(&update)
      try server.absorb(update, from: ClientID(index: 0, name: "a"), weight: 6, round: round)
    }
    _ = try server.finish(round: round)
    let delta = try #require(BaseDelta(in: server.global).sites["q"])
    #expect(abs(delta.item - 1) < 1e-6)
    #expect(try #require(server.global["A"]).item == 2)
    #expect(try #require(server.global["B"]).item == 2)
  }

  @Test func `a client that was away gets each residual it missed, or the sum if that is smaller`()
    throws
  {
    var cohort = try DrawnCohort(makeFedEx(), shape: [48, 32])
    var index = 0
    func next(_ members: [Int]) throws {
      let sent = Dictionary(uniqueKeysWithValues: members.map { ($0, cohort.draw()) })
      try cohort.run(index, sent)
      index += 1
    }
    try next([0, 1])
    try next([0, 1])
    try next([0, 1, 2])
    #expect(cohort.received(0).names == ["base_delta.change.1.q.u", "base_delta.change.1.q.v"])
    #expect(cohort.received(2).names.count == 4)
    // One residual has 2·80 elements and the matrix 1 536: the tenth no longer pays.
    for _ in 0..<12 { try next([0, 1]) }
    try next([0, 1, 2, 3])
    #expect(cohort.received(3).names == ["base_delta.sum.q.w"])
    #expect(cohort.copies[3].delta.sites.isIdentical(to: cohort.copies[0].delta.sites))
    #expect(cohort.copies[2].delta.sites.isIdentical(to: cohort.copies[0].delta.sites))
  }

  @Test func `a refused update does not count as knowledge of the base`() throws {
    var cohort = try DrawnCohort(makeFedEx(), shape: [48, 32])
    let sent = [0: cohort.draw(), 1: cohort.draw()]
    try cohort.run(0, sent)
    let round = Round(index: 1, total: 2, root: RandomStream(seed: 1))
    let id = ClientID(index: 0, name: "client 0")
    var update = Message(
      tensors: NamedTensors([DrawnCohort.pair.a: sent[0]?.a ?? .ones([1])]), sampleCount: 1)
    update.fields["base_version"] = .int(1)
    #expect(throws: ApusError.self) {
      try cohort.server.absorb(update, from: id, weight: 1, round: round)
    }
    update.tensors[DrawnCohort.pair.b] = sent[0]?.b
    for version in [FieldValue.int(2), .int(-1), .string("1")] {
      update.fields["base_version"] = version
      #expect(throws: ApusError.self) {
        try cohort.server.absorb(update, from: id, weight: 1, round: round)
      }
    }
    let brief = try cohort.server.brief(for: id, round: round)
    #expect(brief.tensors.names.contains("base_delta.change.0.q.u"))
  }
}

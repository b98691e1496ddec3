import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeFLoRA() -> FLoRA { FLoRA(FLoRA.Options()) }

/// The properties of the method's card, by their numbers.
@Suite struct FLoRALaws {
  @Test(arguments: [[64, 48], [48, 64], [40, 40], [5, 4]], 0..<5 as Range<UInt64>)
  func `1, 3: W grows by s·Σ pₖBₖAₖ for any ranks, on the server and on every client alike`(
    shape: [Int], seed: UInt64
  ) throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: shape, seed: seed)
    for (index, ranks) in [[1, 2, 3, 4], [2, 0, 5, 1], [4, 1, 0, 2]].enumerated() {
      let before = cohort.delta
      var sent: [Int: DrawnCohort.Factors] = [:]
      for (client, rank) in ranks.enumerated() where rank > 0 {
        sent[client] = cohort.draw(rank: rank)
      }
      try cohort.run(index, sent)
      expectClose(cohort.delta, before + DrawnCohort.ideal(sent), absolute: 1e-5)
    }
    try cohort.run(3, [0: cohort.draw(), 1: cohort.draw(), 2: cohort.draw(), 3: cohort.draw()])
    let sites = cohort.copies[0].delta.sites
    for copy in cohort.copies { #expect(copy.delta.sites.isIdentical(to: sites)) }
    #expect(!sites.isEmpty)
    try Tensor.check()
  }

  @Test func `2: the mean of padded factors is something else`() throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: [20, 20])
    let sent = [0: cohort.draw(rank: 1), 1: cohort.draw(rank: 3)]
    try cohort.run(0, sent)
    let total = sent.values.reduce(0) { $0 + $1.weight }
    let parts = sent.values.map { factors in
      let missing = 3 - factors.a.size(0)
      let share = factors.weight / total
      return (
        a: factors.a.padded([0, 0, 0, missing]) * share, b: factors.b.padded([0, missing]) * share
      )
    }
    let padded = matmul(stacked(parts.map(\.b)).sum([0]), stacked(parts.map(\.a)).sum([0]))
    let gap = (cohort.delta - padded.to(.float64) * DrawnCohort.pair.scaling).norm().item
    #expect(gap > 0.1 * cohort.delta.norm().item)
  }

  @Test func `3: on real training too, W is the same bits everywhere`() async throws {
    let federation = try ToyFederation(makeFLoRA())
    try await federation.run(0..<1)
    try await federation.run(1..<3, cohort: [2])
    try await federation.run(3..<4)
    let expected = BaseDelta(in: federation.server.global).sites
    for (client, trainer) in federation.trainers.enumerated() {
      _ = try await federation.evaluate(client)
      #expect(trainer.baseDelta.sites.isIdentical(to: expected))
    }
    #expect(!expected.isEmpty)
  }

  @Test func `4: a fresh adapter after the merge changes no bit`() async throws {
    let federation = try ToyFederation(makeFLoRA())
    try await federation.run(0..<2)
    _ = try await federation.evaluate(1)
    let trainer = federation.trainers[1]
    let merged = trainer.answers(adapted: true)
    var random = RandomStream(seed: 5)
    var fresh: [String: Tensor] = [:]
    for pair in ToyTrainer.pairs {
      let a = try #require(trainer.initial[pair.a])
      fresh[pair.a] = .normal(a.shape, stream: &random)
    }
    try trainer.load(NamedTensors(fresh))
    #expect(trainer.answers(adapted: true).isIdentical(to: merged))
  }

  @Test func `5: one client's W grows by its own product, and its factors start anew`()
    async throws
  {
    let federation = try ToyFederation(makeFLoRA(), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<1)
    let update = try #require(federation.updates[0]?.tensors)
    let delta = BaseDelta(in: federation.server.global).sites
    for pair in ToyTrainer.pairs {
      let (a, b) = (try #require(update[pair.a]), try #require(update[pair.b]))
      expectClose(
        try #require(delta[pair.site]), matmul(b, a) * ToyTrainer.scaling, absolute: 1e-6)
      let start = try #require(federation.trainers[0].initial[pair.a])
      #expect(try #require(federation.server.global[pair.a]).isIdentical(to: start))
      #expect(!(try #require(federation.server.global[pair.b]).anyTrue))
    }
  }

  @Test func `6: the rank of W − W0 grows with the rounds`() throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: [12, 10], rank: 1)
    for index in 0..<3 {
      try cohort.run(index, [0: cohort.draw(rank: 1)])
      let values = svd(cohort.delta).s.doubles
      #expect(values.filter { $0 > 1e-5 * values[0] }.count == index + 1)
    }
  }

  @Test func `7: down come R(d_in + d_out) parameters a site, up go rₖ(d_in + d_out)`() throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: [64, 48])
    var sent: [Int: DrawnCohort.Factors] = [:]
    for (client, rank) in [1, 4, 2, 3].enumerated() { sent[client] = cohort.draw(rank: rank) }
    try cohort.run(0, sent)
    try cohort.run(1, sent)
    #expect(cohort.received(2).elementCount == 10 * (64 + 48))
    // Rows of A stand in client order, weighted, and columns of B as they were sent.
    let u = try #require(cohort.received(2)["base_delta.change.0.q.u"])
    #expect(u.sliced(1, 1..<5).contiguous().isIdentical(to: try #require(sent[1]?.b)))
    // Of rank 28 and more, the matrix itself is smaller.
    for client in 0..<4 { sent[client] = cohort.draw(rank: 8) }
    try cohort.run(2, sent)
    try cohort.run(3, sent)
    #expect(cohort.received(2).elementCount == 64 * 48)
  }

  @Test func `7: an update carries a client's own rank`() async throws {
    let federation = try ToyFederation(
      makeFLoRA(),
      trainers: [1, 2, 3].map { ToyTrainer(client: $0, rows: 5, rank: $0) })
    try await federation.run(0..<2)
    for (client, rank) in [1, 2, 3].enumerated() {
      let tensors = try #require(federation.updates[client]?.tensors)
      #expect(tensors.elementCount == rank * (4 + 5 + 5 + 3) + 3)
    }
    #expect(federation.server.global.firstNonFinite == nil)
  }

  @Test func `ranks of clients are those of the setting, and the stack has their sum`() async throws
  {
    var options = FLoRA.Options()
    (options.ranks.rule, options.ranks.list) = (.listed, [1, 3, 9])
    let federation = try ToyFederation(FLoRA(options))
    try await federation.run(0..<2)
    for (client, wanted) in [1, 3, 9].enumerated() {
      let update = try #require(federation.updates[client]?.tensors)
      // A site holds no more than its shorter side: 4 and 3.
      #expect(ToyTrainer.pairs.map { update.rank(of: $0) } == [min(wanted, 4), min(wanted, 3)])
      #expect(federation.metrics[1]["rank/client \(client)"] == Double(min(wanted, 4)))
    }
    #expect(federation.metrics[1]["mean_rank"] == (1 + 3 + 4) / 3.0)
  }

  @Test func `8: stacks in different orders do not give the sum`() throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: [20, 20])
    let sent = [0: cohort.draw(), 1: cohort.draw()]
    try cohort.run(0, sent)
    try cohort.run(1, sent)
    let u = try #require(cohort.received(0)["base_delta.change.0.q.u"])
    let v = try #require(cohort.received(0)["base_delta.change.0.q.v"])
    expectClose(matmul(u, v).to(.float64), DrawnCohort.ideal(sent), absolute: 1e-5)
    let turned = concatenated([v.sliced(0, 2..<4), v.sliced(0, 0..<2)])
    let gap = (matmul(u, turned).to(.float64) - DrawnCohort.ideal(sent)).norm().item
    #expect(gap > 0.1 * DrawnCohort.ideal(sent).norm().item)
  }

  @Test func `every client and every round draws factors of its own`() async throws {
    let federation = try ToyFederation(makeFLoRA())
    let name = ToyTrainer.pairs[0].b
    var seen: [Tensor] = []
    for round in 0..<2 {
      try await federation.run(round..<(round + 1), stepLimit: 1)
      for client in 0..<3 {
        let tensors = try #require(federation.updates[client]?.tensors)
        // After one step from B = 0, A has not moved: it had no gradient.
        let a = try #require(tensors[ToyTrainer.pairs[0].a])
        #expect(a.magnitude.max().item <= 0.5)
        #expect(try #require(tensors[name]).anyTrue)
        for other in seen { #expect(!a.isIdentical(to: other)) }
        seen.append(a)
      }
    }
  }

  @Test func `an unbiased step scales what is added`() throws {
    var (whole, half) = (
      try DrawnCohort(makeFLoRA(), shape: [20, 20]), try DrawnCohort(makeFLoRA(), shape: [20, 20])
    )
    let sent = [0: whole.draw(), 1: whole.draw()]
    try whole.run(0, sent)
    try half.run(0, sent, stepScale: 0.5)
    expectClose(half.delta * 2, whole.delta, absolute: 1e-6)
  }

  @Test func `factors of unequal ranks, or of none, are refused`() throws {
    var cohort = try DrawnCohort(makeFLoRA(), shape: [6, 5])
    let good = cohort.draw(rank: 3)
    let none = DrawnCohort.Factors(a: .zeros([0, 5]), b: .zeros([6, 0]), weight: 1)
    let uneven = DrawnCohort.Factors(a: good.a, b: .ones([6, 2]), weight: 1)
    let turned = DrawnCohort.Factors(a: .ones([3, 6]), b: .ones([5, 3]), weight: 1)
    for bad in [none, uneven, turned] {
      #expect(throws: ApusError.self) { try cohort.run(0, [0: bad]) }
    }
    try cohort.run(0, [0: good])
    expectClose(cohort.delta, DrawnCohort.ideal([0: good]), absolute: 1e-5)
  }
}

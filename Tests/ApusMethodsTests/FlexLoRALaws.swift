import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeFlex(_ ranks: [Int] = []) -> FlexLoRA {
  var options = FlexLoRA.Options()
  if !ranks.isEmpty { (options.ranks.rule, options.ranks.list) = (.listed, ranks) }
  return FlexLoRA(options)
}

/// s = alpha / r, where alpha / 2 is the scaling of the configured rank 2.
private func scaling(_ rank: Int) -> Double { DrawnCohort.pair.scaling * 2 / Double(rank) }

/// Σ pₖsₖBₖAₖ in float64.
private func ideal(_ sent: [Int: DrawnCohort.Factors]) -> Tensor {
  let total = sent.values.reduce(0) { $0 + $1.weight }
  return stacked(
    sent.values.map {
      matmul($0.b.to(.float64), $0.a.to(.float64)) * ($0.weight / total * scaling($0.a.size(0)))
    }
  ).sum([0])
}

/// Factors of its own rank that a client of the cohort would get now.
private func brief(
  _ cohort: inout DrawnCohort, _ client: Int
) throws -> (a: Tensor, b: Tensor) {
  let round = Round(index: 9, total: 10, root: RandomStream(seed: 1))
  let id = ClientID(index: client, name: "client \(client)")
  let tensors = try cohort.server.brief(for: id, round: round).tensors
  return (
    try #require(tensors[DrawnCohort.pair.a]), try #require(tensors[DrawnCohort.pair.b])
  )
}

/// The properties of the method's card, by their numbers.
@Suite struct FlexLoRALaws {
  @Test(arguments: [[24, 20], [20, 24], [5, 4]], 0..<3 as Range<UInt64>)
  func `the mean is exact for any ranks, and 1, 5: each gets its best approximation`(
    shape: [Int], seed: UInt64
  ) throws {
    let ranks = [1, 2, 3, 4]
    var cohort = try DrawnCohort(makeFlex(ranks), shape: shape, seed: seed)
    for index in 0..<2 {
      let sent = Dictionary(
        uniqueKeysWithValues: ranks.enumerated().map { ($0, cohort.draw(rank: $1)) })
      try cohort.run(index, sent)
      let whole = ideal(sent)
      expectClose(cohort.delta, whole, absolute: 1e-5)
      let values = svd(whole).s.doubles
      for (client, rank) in ranks.enumerated() {
        let (a, b) = try brief(&cohort, client)
        #expect(a.shape == [rank, shape[1]] && b.shape == [shape[0], rank])
        let error = (whole - matmul(b, a).to(.float64) * scaling(rank)).norm().item
        let expected = values.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(error - expected) < 1e-5 * whole.norm().item)
        let identity = Tensor.range(0, rank).oneHot(classes: rank).to(.float64)
        expectClose(
          matmul(a, a.matrixTransposed).to(.float64), identity, absolute: 1e-5)
        let crossed = matmul(b.matrixTransposed, b).to(.float64) * (1 - identity)
        expectClose(crossed, identity.zerosLike, absolute: 1e-4)
      }
    }
    try Tensor.check()
  }

  @Test func `2: a rank of Σ rₖ and more loses nothing`() throws {
    var cohort = try DrawnCohort(makeFlex([2, 3, 5, 7]), shape: [20, 24])
    let sent = [0: cohort.draw(rank: 2), 1: cohort.draw(rank: 3)]
    try cohort.run(0, sent)
    for (client, rank) in [(2, 5), (3, 7)] {
      let (a, b) = try brief(&cohort, client)
      expectClose(matmul(b, a).to(.float64) * scaling(rank), ideal(sent), absolute: 1e-5)
      #expect(a.size(0) == rank)
    }
  }

  @Test func `3: one client gets its own product back`() throws {
    var cohort = try DrawnCohort(makeFlex(), shape: [20, 24])
    let sent = [1: cohort.draw()]
    try cohort.run(0, sent)
    let (a, b) = try brief(&cohort, 1)
    expectClose(matmul(b, a).to(.float64) * scaling(2), ideal(sent), absolute: 1e-5)
    #expect(!a.isIdentical(to: try #require(sent[1]?.a)))
  }

  @Test func `4: what a lower rank gets is the leading part of what a higher one gets`() throws {
    var cohort = try DrawnCohort(makeFlex([2, 5]), shape: [20, 24])
    let sent = [0: cohort.draw(rank: 2), 1: cohort.draw(rank: 5)]
    try cohort.run(0, sent)
    let (low, high) = (try brief(&cohort, 0), try brief(&cohort, 1))
    #expect(low.a.isIdentical(to: high.a.sliced(0, 0..<2).contiguous()))
    expectClose(
      low.b * scaling(2), high.b.sliced(1, 0..<2) * scaling(5), absolute: 1e-6)
  }

  @Test func `6: equal clients give each one's product, and their order does not matter`() throws {
    var (equal, turned) = (
      try DrawnCohort(makeFlex(), shape: [12, 9]), try DrawnCohort(makeFlex(), shape: [12, 9])
    )
    let one = equal.draw()
    try equal.run(0, [0: one, 1: one, 3: one])
    expectClose(equal.delta, ideal([0: one]), absolute: 1e-6)
    let (first, second) = (equal.draw(), equal.draw())
    try equal.run(1, [0: first, 1: second])
    try turned.run(0, [0: second, 1: first])
    expectClose(turned.delta, equal.delta, absolute: 1e-6)
  }

  @Test func `8: a message has the client's own rank, whatever the others have`() async throws {
    let ranks = [3, 1, 2]
    let federation = try ToyFederation(makeFlex(ranks))
    try await federation.run(0..<2)
    for (client, rank) in ranks.enumerated() {
      // Sites can hold ranks of 4 and 3.
      let expected = rank * (4 + 5 + 5 + 3) + 3
      #expect(federation.updates[client]?.tensors.elementCount == expected)
      #expect(try federation.brief(client).payloadCount() == 4 * expected)
      let metrics = try #require(federation.metrics.last)
      #expect(metrics["rank/client \(client)"] == Double(rank))
      #expect(metrics["parameters/client \(client)"] == Double(expected))
      #expect(federation.trainers[client].scalings["first"] == 0.5 * 2 / Double(rank))
    }
  }

  @Test func `with one rank the first round is FedIT's, and its mean exact`() async throws {
    let federation = try ToyFederation(makeFlex())
    let fedit = try ToyFederation(FedIT(FedIT.Options()))
    try await federation.run(0..<1)
    try await fedit.run(0..<1)
    for client in 0..<3 {
      let found = try #require(federation.updates[client]?.tensors)
      #expect(found.isIdentical(to: try #require(fedit.updates[client]?.tensors)))
    }
    let delta = BaseDelta(in: federation.server.global).sites
    let expected = combined(
      federation.sharedUpdates().map { ($0.share, products($0.tensors)) })
    expectClose(delta.mapValues { $0.to(.float64) }, expected, absolute: 1e-6, relative: 1e-5)
  }

  @Test func `the bias is what the cut to the highest rank loses`() async throws {
    let alone = try ToyFederation(makeFlex(), trainers: [ToyTrainer(client: 0, rows: 6)])
    try await alone.run(0..<1)
    #expect(try #require(alone.metrics.last?["aggregation_bias"]) < 1e-6)
    let several = try ToyFederation(makeFlex())
    try await several.run(0..<1)
    let bias = try #require(several.metrics.last?["aggregation_bias"])
    let means = combined(several.sharedUpdates().map { ($0.share, products($0.tensors)) })
    let values = try ToyTrainer.pairs.map { svd(try #require(means[$0.site])).s.doubles }
    // The configured rank is 2.
    let (lost, all) = (values.flatMap { $0.dropFirst(2) }, values.flatMap { $0 })
    let squares = [lost, all].map { $0.reduce(0) { $0 + $1 * $1 } }
    #expect(bias > 1e-3 && abs(bias - (squares[0] / squares[1]).squareRoot()) < 1e-5)
  }

  @Test func `an unbiased step goes part of the way`() throws {
    var cohort = try DrawnCohort(makeFlex(), shape: [20, 20])
    let (first, second) = ([0: cohort.draw()], [0: cohort.draw()])
    try cohort.run(0, first)
    try cohort.run(1, second, stepScale: 0.25)
    expectClose(
      cohort.delta, ideal(first) * 0.75 + ideal(second) * 0.25, absolute: 1e-5)
  }

  @Test func `after rounds of small ranks the mean has a small rank`() throws {
    var cohort = try DrawnCohort(makeFlex([1, 4]), shape: [20, 20])
    try cohort.run(0, [0: cohort.draw(rank: 1), 1: cohort.draw(rank: 4)])
    try cohort.run(1, [0: cohort.draw(rank: 1)])
    let values = svd(cohort.delta).s.doubles
    #expect(values[1] < 1e-5 * values[0])
    let (a, b) = try brief(&cohort, 1)
    #expect(a.size(0) == 4 && b.sliced(1, 1..<4).magnitude.max().item < 1e-6)
  }
}

import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeHet(
  _ ranks: [Int] = [], penalty: Double = 5e-4, prunes: Bool = true,
  scope: HetLoRA.Options.NormScope = .module
) -> HetLoRA {
  var options = HetLoRA.Options()
  if !ranks.isEmpty { (options.ranks.rule, options.ranks.list) = (.listed, ranks) }
  (options.tailPenalty, options.prunes, options.normScope) = (penalty, prunes, scope)
  return HetLoRA(options)
}

private func norm(_ factors: DrawnCohort.Factors) -> Double {
  matmul(factors.b.to(.float64), factors.a.to(.float64)).norm().item
}

/// A model without data: nothing but penalties moves it, by gradient descent.
private final class DatalessTrainer: LocalTrainer {
  let initial: NamedTensors
  let sampleCount = 5
  private(set) var trainables: NamedTensors

  init(_ initial: NamedTensors) { (self.initial, trainables) = (initial, initial.copied()) }

  func load(_ values: NamedTensors) { trainables = trainables.merging(values.copied()) }

  func load(_ delta: BaseDelta) {}

  func train(_ work: LocalWork) async throws -> TrainingOutcome {
    let leaves = trainables.mapValues { $0.requiringGradient() }
    let step = LocalStep(
      LocalPhase(
        trainables: leaves.map { ($0.name, $0.tensor) }, stepCount: 1, fullStepCount: 1,
        round: work.round),
      index: 0, random: work.random)
    for penalty in try work.hooks.compactMap({ try $0.penalty(step) }) {
      for (name, gradient) in zip(leaves.names, penalty.gradients(by: leaves.tensors)) {
        guard let gradient, let value = trainables[name] else { continue }
        trainables[name] = value - gradient * 0.01
      }
    }
    return TrainingOutcome(steps: 1, meanLoss: 0, rows: 0, tokens: 0)
  }

  func evaluate(_ split: DataSplit) async throws -> Metrics { [:] }
}

/// The properties of the method's card, by their numbers.
@Suite struct HetLoRALaws {
  @Test func `1: one client of the highest rank gives the model its factors, bit for bit`()
    async throws
  {
    let federation = try ToyFederation(
      makeHet([2], penalty: 0, prunes: false), trainers: [ToyTrainer(client: 1, rows: 7)])
    let fedit = try ToyFederation(
      FedIT(FedIT.Options()), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<3)
    try await fedit.run(0..<3)
    let sent = try #require(federation.updates[0]?.tensors)
    #expect(federation.server.global.isIdentical(to: sent))
    #expect(federation.server.global.isIdentical(to: fedit.server.global))
  }

  @Test func `2: what a low rank gets is the leading part of what a high one gets`() throws {
    var cohort = try DrawnCohort(makeHet([4, 2, 1]), shape: [12, 9], rank: 4)
    try cohort.run(0, [0: cohort.draw(rank: 4), 1: cohort.draw(rank: 2)])
    try cohort.run(1, [0: cohort.draw(rank: 4), 1: cohort.draw(rank: 2), 2: cohort.draw(rank: 1)])
    let pairs = [DrawnCohort.pair]
    let whole = try #require(cohort.briefs[0]?.tensors)
    for (client, rank) in [(1, 2), (2, 1)] {
      let part = try #require(cohort.briefs[client]?.tensors)
      #expect(part.rank(of: DrawnCohort.pair) == rank)
      #expect(part.isIdentical(to: whole.truncated(toRank: rank, pairs)))
    }
  }

  @Test(arguments: [HetLoRA.Options.NormScope.module, .client], 0..<3 as Range<UInt64>)
  func `3, 4, 5: factors are averaged by ‖BA‖, with zeros where a client has no rank`(
    scope: HetLoRA.Options.NormScope, seed: UInt64
  ) throws {
    var cohort = try DrawnCohort(
      makeHet([3, 2, 1], scope: scope), shape: [12, 9], rank: 4, seed: seed)
    let sent = [0: cohort.draw(rank: 3), 1: cohort.draw(rank: 2), 2: cohort.draw(rank: 1)]
    try cohort.run(0, sent)
    let total = sent.values.reduce(0) { $0 + norm($1) }
    let (a, b) = (DrawnCohort.pair.a, DrawnCohort.pair.b)
    let expected = combined(
      sent.values.map {
        let missing = 4 - $0.a.size(0)
        return (
          norm($0) / total,
          NamedTensors([
            a: $0.a.padded([0, 0, 0, missing]), b: $0.b.padded([0, missing]),
          ])
        )
      })
    expectClose(
      cohort.server.global.mapValues { $0.to(.float64) }, expected, absolute: 1e-6, relative: 1e-4)
    let global = cohort.server.global
    #expect(!(try #require(global[a])).sliced(0, 3..<4).anyTrue)
    #expect(!(try #require(global[b])).sliced(1, 3..<4).anyTrue)
    #expect(cohort.metrics["rank/client 1"] == 2)
    #expect(cohort.metrics["mean_rank"] == 2)
    #expect(cohort.metrics["aggregation_bias"] != nil)
  }

  @Test func `4: clients without any product count alike`() throws {
    var cohort = try DrawnCohort(makeHet([2], scope: .module), shape: [12, 9])
    var (first, second) = (cohort.draw(), cohort.draw())
    (first.b, second.b) = (.zeros([12, 2]), .zeros([12, 2]))
    try cohort.run(0, [0: first, 1: second])
    expectClose(
      try #require(cohort.server.global[DrawnCohort.pair.a]), (first.a + second.a) / 2,
      absolute: 1e-6)
  }

  @Test func `6: ranks never grow, and a prune takes one`() async throws {
    let federation = try ToyFederation(
      makeHet([6, 5, 3], penalty: 1),
      trainers: (0..<3).map { ToyTrainer(client: $0, rows: 6, rank: 6) })
    var former = [6, 5, 3]
    var pruned = 0
    for round in 0..<8 {
      try await federation.run(round..<(round + 1))
      for client in 0..<3 {
        let pair = ToyTrainer.pairs[0]
        let rank = try #require(federation.updates[client]?.tensors.rank(of: pair))
        #expect(rank == former[client] || (rank == former[client] - 1 && rank >= 1))
        #expect(try federation.brief(client).tensors.rank(of: pair) == rank)
        pruned += former[client] - rank
        former[client] = rank
      }
      if round == 0 { #expect(pruned == 0) }  // B is zero before the first round
    }
    #expect(pruned > 0)
  }

  @Test(arguments: [(0.0, 4), (0.5, 3)])
  func `7: without data the penalty alone makes a client prune, and nothing does without it`(
    penalty: Double, expected: Int
  ) async throws {
    var stream = RandomStream(seed: 3)
    let pair = DrawnCohort.pair
    let values = NamedTensors([
      pair.a: Tensor.normal([4, 9], stream: &stream), pair.b: .normal([12, 4], stream: &stream),
    ])
    let trainer = DatalessTrainer(values)
    var client = makeHet([4], penalty: penalty).client(
      ClientSetting(
        id: ClientID(index: 0, name: "a"), trainer: trainer, training: LocalTraining(),
        factorPairs: [pair]))
    let round = Round(index: 1, total: 10, root: RandomStream(seed: 1))
    let update = try await client.train(on: Message(tensors: values), round: round)
    #expect(update.tensors.rank(of: pair) == expected)
    let head = trainer.trainables.truncated(toRank: 3, [pair])
    #expect(head.isIdentical(to: values.truncated(toRank: 3, [pair])))
  }

  @Test func `7: nobody prunes below the lowest rank`() async throws {
    var options = HetLoRA.Options()
    (options.ranks.rule, options.ranks.list) = (.listed, [2])
    (options.tailPenalty, options.lowestRank) = (0.5, 2)
    let federation = try ToyFederation(HetLoRA(options))
    try await federation.run(0..<4)
    for update in federation.updates.values {
      #expect(update.tensors.rank(of: ToyTrainer.pairs[0]) == 2)
    }
  }

  @Test func `8: messages have the client's own rank`() async throws {
    let ranks = [2, 1, 2]
    let federation = try ToyFederation(makeHet(ranks, prunes: false))
    try await federation.run(0..<2)
    for (client, rank) in ranks.enumerated() {
      let expected = rank * (4 + 5 + 5 + 3) + 3
      #expect(federation.updates[client]?.tensors.elementCount == expected)
      #expect(try federation.brief(client).payloadCount() == 4 * expected)
    }
  }

  @Test func `a rank above the client's own is refused`() throws {
    var cohort = try DrawnCohort(makeHet([2]), shape: [12, 9], rank: 4)
    #expect(throws: ApusError.self) { try cohort.run(0, [0: cohort.draw(rank: 3)]) }
    try cohort.run(0, [0: cohort.draw(rank: 1)])
    #expect(throws: ApusError.self) { try cohort.run(1, [0: cohort.draw(rank: 2)]) }
  }
}

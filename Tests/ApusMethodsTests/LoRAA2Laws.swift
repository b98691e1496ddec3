import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod(_ change: (inout LoRAA2.Options) -> Void = { _ in }) -> LoRAA2 {
  var options = LoRAA2.Options()
  options.budgets = [1]
  change(&options)
  return LoRAA2(options)
}

/// ΔB or ΔA as the server reads it, with zeros for ranks that were not chosen.
private func unpacked(_ update: Message, _ role: TensorRoles, _ like: NamedTensors) throws
  -> NamedTensors
{
  let ranks = ChosenRanks(role, of: ToyTrainer.pairs, in: like)
  return try ranks.unpacked(
    update.tensors, like: like.filtered(role), count: update.tensors["selection"]?.count ?? 0,
    at: "update")
}

/// The properties of the method's card, by their numbers.
@Suite struct LoRAA2Laws {
  @Test func `1: by turns one factor moves and the other keeps every bit, B first`() async throws {
    let federation = try ToyFederation(makeMethod())
    for round in 0..<4 {
      let (active, frozen): (TensorRoles, TensorRoles) = round % 2 == 0 ? (.b, .a) : (.a, .b)
      let before = federation.server.global
      try await federation.run(round..<(round + 1))
      let after = federation.server.global
      #expect(after.filtered([frozen, .head]).isIdentical(to: before.filtered([frozen, .head])))
      #expect(!after.filtered(active).isIdentical(to: before.filtered(active)))
      for trainer in federation.trainers {
        #expect(trainer.phases.suffix(2).allSatisfy { $0 == after.filtered(active).names })
        #expect(trainer.trainables.filtered(frozen).isIdentical(to: before.filtered(frozen)))
      }
    }
  }

  @Test(arguments: [0, 1])
  func `2: the mean of the changes is exact in the products`(last: Int) async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<last)
    let before = federation.server.global
    try await federation.run(last..<(last + 1))
    let role: TensorRoles = last == 0 ? .b : .a
    let ideal = combined(
      try federation.updates.sorted { $0.key < $1.key }.map { client, update in
        (
          ToyFederation.shares[client],
          products(try unpacked(update, role, before), beside: before)
        )
      })
    let change = combined([
      (1, products(federation.server.global)), (-1, products(before)),
    ])
    expectClose(change, ideal, absolute: 1e-6, relative: 1e-6)
  }

  @Test func `3, 7: each client sends its budget's ranks, and their numbers`() async throws {
    let federation = try ToyFederation(makeMethod { $0.budgets = [1, 2] })
    for (round, role) in [TensorRoles.b, .a].enumerated() {
      try await federation.run(round..<(round + 1))
      for (client, update) in federation.updates {
        let count = 2 * (client % 2 == 0 ? 1 : 2)
        #expect(update.tensors["selection"]?.count == count)
        let values = update.tensors.filtered { $0 != "selection" }
        let selection = try #require(update.tensors["selection"]?.ints)
        let lengths = role == .b ? [5, 5, 3, 3] : [4, 4, 5, 5]
        #expect(values.elementCount == selection.reduce(0) { $0 + lengths[$1] })
        #expect(try update.payloadCount() == 4 * (values.elementCount + count))
      }
    }
  }

  @Test(arguments: [0.0, 0.5])
  func `4: ranks outside the choice keep every bit, beside decay and momentum`(
    decay: Double
  ) async throws {
    var training = ToyFederation.training
    training.optimizer.weightDecay = decay
    let federation = try ToyFederation(makeMethod(), training: training)
    for round in 0..<4 {
      let before = federation.server.global
      let role: TensorRoles = round % 2 == 0 ? .b : .a
      try await federation.run(round..<(round + 1))
      for (client, update) in federation.updates {
        let ranks = ChosenRanks(role, of: ToyTrainer.pairs, in: before)
        let flat = try #require(update.tensors["selection"]?.ints)
        let selection = try #require(RankSelection(flat: flat, ranks: [2, 2]))
        let after = federation.trainers[client].trainables
        for (name, mask) in ranks.mask(selection) {
          let (old, new) = (try #require(before[name]), try #require(after[name]))
          let moved = (old .!= new) .& (mask.expanded(old.shape) .== 0)
          #expect(!moved.anyTrue, "round \(round), \(name)")
        }
      }
    }
  }

  @Test func `5, 9: with all ranks it is pure alternation, as if nothing had been tried`()
    async throws
  {
    let method = makeMethod { $0.budgets = [9] }
    var options = RoLoRA.Options()
    options.bRateFactor = 5
    let (chosen, plain) = (try ToyFederation(method), try ToyFederation(RoLoRA(options)))
    try await chosen.run(0..<4)
    try await plain.run(0..<4)
    expectClose(chosen.server.global, plain.server.global, absolute: 1e-5, relative: 1e-5)
    for client in 0..<3 {
      #expect(chosen.updates[client]?.fields["steps"] == plain.updates[client]?.fields["steps"])
    }
  }

  @Test func `6: the score is the norm of what a rank changes of the weight`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    for (client, update) in federation.updates {
      // The trial of round 1, which trains A, again by hand.
      let trial = ToyFederation.makeTrainers()[client]
      let earlier = try ToyFederation(makeMethod())
      try await earlier.run(0..<1)
      try trial.load(earlier.server.global)
      var work = LocalWork(
        training: ToyFederation.training,
        random: Round(index: 1, total: 10, root: RandomStream(seed: 3))
          .random(of: ClientID(index: client, name: "")).substream("trial"),
        selects: TensorRoles.a.contains(named:))
      work.training.localEpochs = 1
      _ = try await trial.train(work)
      let before = earlier.server.global
      let scores = try ToyTrainer.pairs.map { pair in
        let (b, old) = (try #require(before[pair.b]), try #require(before[pair.a]))
        let change = try #require(trial.trainables[pair.a]) - old
        return (0..<2).map { rank in
          matmul(
            b.sliced(1, rank..<(rank + 1)).to(.float64),
            change.sliced(0, rank..<(rank + 1)).to(.float64)
          ).norm().item
        }
      }
      let expected = RankSelection(scores: scores, count: 2).flat(ranks: [2, 2])
      #expect(update.tensors["selection"]?.ints == expected)
    }
  }

  @Test func `8: in round 2 only ranks that round 1 touched matter; a filler does not move`()
    async throws
  {
    let federation = try ToyFederation(makeMethod { $0.budgets = [1, 2] })
    try await federation.run(0..<1, cohort: [0])
    let touched = try #require(federation.updates[0]?.tensors["selection"]?.ints)
    try await federation.run(1..<2, cohort: [0, 1])
    #expect(federation.updates[0]?.tensors["selection"]?.ints == touched)
    let update = try #require(federation.updates[1])
    #expect(update.tensors["selection"]?.ints == [0, 1, 2, 3])
    for (site, pair) in ToyTrainer.pairs.enumerated() {
      for rank in 0..<2 {
        let moved = try #require(update.tensors[pair.a]?.selected(0, rank)).anyTrue
        #expect(moved == touched.contains(2 * site + rank))
      }
    }
  }

  @Test func `a trained head is averaged beside the ranks`() async throws {
    let federation = try ToyFederation(makeMethod { $0.trainsHead = true })
    try await federation.run(0..<2)
    #expect(federation.updates[0]?.tensors["head.bias"] != nil)
    let heads = combined(
      federation.updates.map { (ToyFederation.shares[$0.key], $0.value.tensors.filtered(.head)) }
    ).filtered { $0 == "head.bias" }
    expectClose(
      federation.server.global.filtered { $0 == "head.bias" }, heads, absolute: 1e-7,
      relative: 1e-6)
  }
}

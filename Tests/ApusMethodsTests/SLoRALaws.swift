import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeSLoRA(_ rounds: Int, density: Double? = nil, seed: UInt64 = 1) -> SLoRA {
  var options = SLoRA.Options()
  (options.sparseRounds, options.density, options.maskSeed) = (rounds, density, seed)
  return SLoRA(options)
}

private func entries(_ pair: FactorPair) -> String { SparsePlan.name(besideA: pair.a) }

/// Two epochs of AdamW that also decays weights.
private var decaying: LocalTraining {
  var training = ToyFederation.training
  training.optimizer.weightDecay = 0.1
  return training
}

/// The properties of the method's card, by their numbers.
@Suite struct SLoRALaws {
  @Test func `1: the first stage changes nothing outside of the mask`() async throws {
    let federation = try ToyFederation(makeSLoRA(5, density: 0.4), training: decaying)
    try await federation.run(0..<3)
    let delta = BaseDelta(in: federation.server.global)
    #expect(delta.paths == ["first", "second"])
    for pair in ToyTrainer.pairs {
      let matrix = try #require(delta.matrix(of: pair.site))
      let mask = SparsePlan(density: 0.4, seed: 1).mask(pair.site, shape: matrix.shape, rank: 2)
      let allowed = mask.matrix(of: .ones([mask.count]))
      #expect(!(matrix * (1 - allowed)).anyTrue)
      #expect((matrix * allowed).anyTrue)
    }
    for trainer in federation.trainers {
      #expect(trainer.frozen.isIdentical(to: federation.trainers[0].frozen))
      #expect(
        trainer.moved == [
          "first.sparse_entries.weight", "head.bias", "second.sparse_entries.weight",
        ])
    }
  }

  @Test func `3: messages have the tuned entries and the head, then the factors and the head`()
    async throws
  {
    let federation = try ToyFederation(makeSLoRA(2, density: 0.5))
    let count = ToyTrainer.pairs.reduce(0) {
      $0 + (federation.trainers[0].initial[entries($1)]?.count ?? 0)
    }
    #expect(count > 4 && count < 30)
    for round in 0..<4 {
      let expected = round < 2 ? count + 3 : 2 * (4 + 5 + 5 + 3) + 3
      #expect(try federation.brief(0).tensors.elementCount == expected)
      try await federation.run(round..<(round + 1))
      for update in federation.updates.values {
        #expect(update.tensors.elementCount == expected)
      }
    }
  }

  @Test func `4, 8: at the switch the factors are the best of their rank, on the old weights`()
    async throws
  {
    let before = try ToyFederation(makeSLoRA(9))
    let after = try ToyFederation(makeSLoRA(3))
    try await before.run(0..<3)
    try await after.run(0..<3)
    let delta = BaseDelta(in: before.server.global)
    #expect(BaseDelta(in: after.server.global).isEmpty)
    let products = products(after.server.global)
    var (kept, whole) = (0.0, 0.0)
    for pair in ToyTrainer.pairs {
      let matrix = try #require(delta.matrix(of: pair.site)).to(.float64)
      let values = svd(matrix).s.doubles
      let error = (matrix - (try #require(products[pair.site]))).norm().item
      let missed = values.dropFirst(2).reduce(0) { $0 + $1 * $1 }
      #expect(abs(error - missed.squareRoot()) < 1e-5 * matrix.norm().item)
      kept += values.prefix(2).reduce(0) { $0 + $1 * $1 }
      whole += values.reduce(0) { $0 + $1 * $1 }
    }
    let reported = try #require(after.metrics.last?["captured_energy"])
    #expect(abs(reported - kept / whole) < 1e-5 && reported < 1)
    try await after.run(3..<5)
    let initial = after.trainers[0].initial
    for pair in ToyTrainer.pairs {
      let found = try #require(after.trainers[1].trainables[entries(pair)])
      #expect(found.isIdentical(to: try #require(initial[entries(pair)])))
    }
  }

  @Test func `5: a rank that holds the change keeps the answers`() async throws {
    let trainers = (0..<2).map {
      ToyTrainer(
        client: $0, rows: 6, rank: 4, modelExtension: makeSLoRA(2).modelExtension)
    }
    let (before, after) = (
      try ToyFederation(makeSLoRA(9), trainers: trainers),
      try ToyFederation(makeSLoRA(2), trainers: trainers)
    )
    try await before.run(0..<2)
    _ = try await before.evaluate(0)
    let tuned = trainers[0].answers(adapted: true)
    try await after.run(0..<2)
    _ = try await after.evaluate(0)
    expectClose(trainers[0].answers(adapted: true), tuned, absolute: 1e-4)
  }

  @Test func `6: without a first stage it is FedIT`() async throws {
    let slora = try ToyFederation(makeSLoRA(0))
    let fedit = try ToyFederation(FedIT(FedIT.Options()))
    try await slora.run(0..<3)
    try await fedit.run(0..<3)
    #expect(slora.server.global.isIdentical(to: fedit.server.global))
  }

  @Test func `7: one client with every entry is full fine-tuning of the weights`() async throws {
    var training = decaying
    training.clipNorm = 0
    let federation = try ToyFederation(
      makeSLoRA(5, density: 1),
      trainers: [
        ToyTrainer(
          client: 1, rows: 7, modelExtension: makeSLoRA(5, density: 1).modelExtension)
      ], training: training)
    try await federation.run(0..<1)
    let alone = ToyTrainer(
      client: 1, rows: 7, modelExtension: makeSLoRA(5, density: 1).modelExtension)
    let frozen = alone.frozen.copied()
    let round = Round(index: 0, total: 10, root: RandomStream(seed: 3))
    _ = try await alone.train(
      LocalWork(
        training: training, random: round.random(of: ClientID(index: 0, name: "alone")),
        selects: { !$0.contains("lora_") }))
    let delta = BaseDelta(in: federation.server.global)
    for pair in ToyTrainer.pairs {
      let weight = try #require(frozen[pair.site])
      let tuned = try #require(alone.trainables[entries(pair)]).reshaped(weight.shape)
      expectClose(
        try #require(delta.matrix(of: pair.site)) + weight, tuned, absolute: 1e-6)
    }
  }
}

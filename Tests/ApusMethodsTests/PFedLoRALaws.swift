import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod(_ change: (inout PFedLoRA.Options) -> Void = { _ in }) -> PFedLoRA {
  var options = PFedLoRA.Options()
  options.rank = 3
  change(&options)
  return PFedLoRA(options)
}

/// A federation of this method without clipping, so that steps can be told apart.
private func federation(
  _ method: PFedLoRA, trainers: [ToyTrainer]? = nil, sameSeed: Bool = false
) throws -> ToyFederation {
  try ToyFederation(
    method, trainers: trainers, training: ToyFederation.plain, sameSeed: sameSeed)
}

/// The client's tensors after one step of each phase beside start values of this scale.
private func trained(
  _ method: PFedLoRA, scaling: Double = 1, of names: (String) -> Bool
) async throws -> NamedTensors {
  let federation = try federation(method)
  let trainer = federation.trainers[0]
  var start = drawn(like: trainer.initial, seed: 4, deviation: 0.5)
  start = start.merging(start.filtered(names).mapValues { $0 * scaling })
  var client = method.client(
    ClientSetting(
      id: ClientID(index: 0, name: ""), trainer: trainer, training: ToyFederation.plain,
      factorPairs: ToyTrainer.pairs))
  try client.restore(Snapshot(tensors: start))
  _ = try await client.train(
    on: Message(tensors: start.filtered(.beside)),
    round: Round(index: 0, total: 1, root: RandomStream(seed: 5)))
  return client.snapshot.tensors
}

/// The properties of the method's card, by their numbers.
@Suite struct PFedLoRALaws {
  @Test(arguments: PFedLoRA.Options.Mix.allCases)
  func `1: first the private model moves alone, then the companion alone`(
    mix: PFedLoRA.Options.Mix
  ) async throws {
    let federation = try federation(makeMethod { $0.mix = mix })
    try await federation.run(0..<1)
    let initial = federation.trainers[0].initial
    #expect(
      federation.trainers[0].phases
        == [initial.filtered(.all).names, initial.filtered(.beside).names])
  }

  @Test(arguments: [PFedLoRA.Options.Mix.scores, .sum, .features])
  func `2: what the private model learns depends on the companion`(
    mix: PFedLoRA.Options.Mix
  ) async throws {
    let beside = TensorRoles.beside.contains(named:)
    let method = makeMethod { $0.mix = mix }
    let one = try await trained(method, of: beside).filtered(.all)
    let other = try await trained(method, scaling: 2, of: beside).filtered(.all)
    #expect(!one.isIdentical(to: other))
  }

  @Test func `3: unlike models send companions of one shape, which are averaged`() async throws {
    let method = makeMethod()
    let trainers = (0..<3).map {
      ToyTrainer(
        client: $0, rows: 5, rank: 1 + $0, modelExtension: method.modelExtension)
    }
    let federation = try federation(method, trainers: trainers)
    try await federation.run(0..<2)
    for update in federation.updates.values {
      #expect(try update.payloadCount() == 4 * (3 * 4 + 3 * 3))
    }
    let mean = combined(federation.updates.values.map { (1.0 / 3, $0.tensors) })
    expectClose(
      federation.server.global.filtered(.beside), mean, absolute: 1e-6, relative: 1e-6)
  }

  @Test(arguments: [PFedLoRA.Options.Mix.scores, .features])
  func `4: a companion of weight 0 leaves private models to themselves`(
    mix: PFedLoRA.Options.Mix
  ) async throws {
    let mixed = try federation(
      makeMethod {
        $0.mix = mix
        $0.mixingWeight = 0
      })
    let local = try ToyFederation(Local(NoOptions()), training: ToyFederation.plain)
    try await mixed.run(0..<3)
    try await local.run(0..<3)
    for client in 0..<3 {
      #expect(
        mixed.personal(client).filtered(.all).isIdentical(to: local.personal(client)))
    }
  }

  @Test func `4: of weight 1 it is FedAvg of the companion, whatever the private models are`()
    async throws
  {
    let method = makeMethod { $0.mixingWeight = 1 }
    let runs = try [1, 3].map { rank in
      try federation(
        method,
        trainers: (0..<3).map {
          ToyTrainer(client: $0, rows: 5, rank: rank, modelExtension: method.modelExtension)
        })
    }
    for run in runs { try await run.run(0..<2) }
    let ends = runs.map { $0.server.global.filtered(.beside) }
    #expect(ends[0].isIdentical(to: ends[1]))
    #expect(!ends[0].isIdentical(to: runs[0].trainers[0].initial.filtered(.beside)))
  }

  @Test func `4: features of weight 1 train the last layer of the private model alone`()
    async throws
  {
    let federation = try federation(
      makeMethod {
        $0.mix = .features
        $0.mixingWeight = 1
      })
    try await federation.run(0..<1)
    let initial = federation.trainers[0].initial
    for (name, tensor) in federation.personal(0).filtered(.all) {
      let isStill = initial[name].map { tensor.isIdentical(to: $0) } == true
      #expect(isStill == name.hasPrefix("first"), "\(name)")
    }
  }

  @Test func `5: the clients' order does not matter, and one client's companion is the new one`()
    async throws
  {
    let method = makeMethod()
    let runs = try [[0, 1, 2], [2, 0, 1]].map { order in
      try federation(
        method,
        trainers: order.map {
          ToyTrainer(client: $0, rows: 4 + 3 * $0, modelExtension: method.modelExtension)
        }, sameSeed: true)
    }
    for run in runs { try await run.run(0..<2) }
    expectClose(
      runs[1].server.global, runs[0].server.global, absolute: 1e-5, relative: 1e-5)
    let alone = try federation(
      method, trainers: ToyFederation.makeTrainers(for: method, clients: 1..<2))
    try await alone.run(0..<2)
    #expect(
      alone.server.global.filtered(.beside)
        .isIdentical(to: try #require(alone.updates[0]?.tensors)))
  }

  @Test func `6: a fresh companion adds nothing to a sum of scores`() async throws {
    let federation = try federation(makeMethod { $0.mix = .sum })
    let trainer = federation.trainers[0]
    try trainer.load(AdapterMixture(companion: CompanionWeight(model: 1, companion: 1)))
    let both = trainer.answers(adapted: true)
    try trainer.load(AdapterMixture())
    #expect(trainer.answers(adapted: true).isIdentical(to: both))
  }

  @Test func `6: through features the companion learns from the last layer, not the extractor`()
    async throws
  {
    // With μ = 1 the extractor has no part in the first phase either.
    let method = makeMethod {
      $0.mix = .features
      $0.mixingWeight = 1
    }
    let plain = try await trained(method) { _ in false }.filtered(.beside)
    let extractor = try await trained(method, scaling: 2) { $0.hasPrefix("first") }
    #expect(extractor.filtered(.beside).isIdentical(to: plain))
    let last = try await trained(method, scaling: 2) { $0.hasPrefix("second") }
    #expect(!last.filtered(.beside).isIdentical(to: plain))
  }

  @Test func `7: a client that is not drawn keeps its model, bit for bit`() async throws {
    let federation = try federation(makeMethod())
    try await federation.run(0..<1)
    let kept = federation.personal(1)
    try await federation.run(1..<3, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept))
  }

  @Test func `8: the private model's scores could be stored for the second phase`() async throws {
    // They are the same at its first and last step: nothing that they come from moves.
    let federation = try federation(makeMethod())
    try await federation.run(0..<1)
    let trainer = federation.trainers[0]
    let own = federation.personal(0)
    let alone = AdapterMixture(companion: CompanionWeight(model: 1, companion: 0))
    try trainer.load(alone)
    try trainer.load(own.merging(trainer.initial.filtered(.beside)))
    let before = trainer.answers(adapted: true)
    try trainer.load(own)
    #expect(trainer.answers(adapted: true).isIdentical(to: before))
  }

  @Test func `a client is measured with its companion, with the shared one and without any`()
    async throws
  {
    let federation = try federation(makeMethod())
    try await federation.run(0..<2)
    let metrics = try await federation.evaluate(0)
    #expect(metrics.keys.sorted() == ["loss", "loss/model-alone", "loss/shared-companion"])
    #expect(Set(metrics.values).count == 3)
  }
}

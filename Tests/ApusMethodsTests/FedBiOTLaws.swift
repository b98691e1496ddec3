import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeMethod(_ change: (inout FedBiOT.Options) -> Void = { _ in }) -> FedBiOT {
  var options = FedBiOT.Options()
  (options.initialSteps, options.alignmentSteps) = (3, 2)
  change(&options)
  return FedBiOT(options)
}

/// The properties of the method's card that need no model of several blocks, by their numbers.
///
/// 2 is in `EmulatorPlanLaws`, 4 in `ProductAnchorLaws`, 5 in `EmulatorLossLaws`; 1, 7, 8 and the
/// parts of 3 and 6 that need a real decoder are in `EmulatorRunLaws`.
@Suite struct FedBiOTLaws {
  @Test func `3: clients leave the emulator alone, and aligning it leaves the adapter alone`()
    async throws
  {
    let federation = try ToyFederation(makeMethod(), training: ToyFederation.plain)
    let sent = try federation.brief(0).tensors.ofAdapter(EmulatorPlan.adapterName)
    try await federation.run(0..<1)
    for (index, trainer) in federation.trainers.enumerated() {
      // What the client was sent in this round, aligned once, is what it has after training.
      let emulator = trainer.trainables.ofAdapter(EmulatorPlan.adapterName)
      #expect(emulator.isIdentical(to: sent))
      #expect(!sent.isIdentical(to: trainer.initial.ofAdapter(EmulatorPlan.adapterName)))
      #expect(trainer.phases.last?.allSatisfy { AdapterName.of($0) != "emulator" } == true)
      let update = try #require(federation.updates[index])
      #expect(update.tensors.names == trainer.initial.filtered(.all).names)
    }
    let shared = federation.sharedUpdates()
    expectClose(
      try federation.brief(0).tensors.filtered(.all),
      combined(shared.map { ($0.share, $0.tensors) }).mapValues { $0.to(.float32) },
      absolute: 1e-6, relative: 1e-5)
    let next = try federation.brief(0).tensors.ofAdapter(EmulatorPlan.adapterName)
    #expect(next.names == sent.names && !next.isIdentical(to: sent))
  }

  @Test func `6: the stronger the pull, the less the adapter moves in a round`() async throws {
    var drifts: [Double] = []
    for weight in [0.0, 100, 10_000] {
      let federation = try ToyFederation(
        makeMethod { $0.anchorWeight = 0 }, training: ToyFederation.plain)
      try await federation.run(0..<1)
      var training = ToyFederation.plain
      (training.localEpochs, training.learningRate) = (50, 0.05 / (1 + weight))
      let pulled = try ToyFederation(
        makeMethod { $0.anchorWeight = weight }, training: training)
      try pulled.restore(federation.stored())
      let before = try pulled.brief(0).tensors
      try await pulled.run(1..<2, cohort: [0])
      let after = try #require(pulled.updates[0]).tensors
      drifts.append(
        try ToyTrainer.pairs.reduce(0) { sum, pair in
          func product(_ values: NamedTensors) throws -> Tensor {
            matmul(try #require(values[pair.b]), try #require(values[pair.a]))
          }
          return try sum + (product(after) - product(before)).norm().item
        })
    }
    #expect(drifts[0] > 5 * drifts[1] && drifts[1] > 5 * drifts[2], "\(drifts)")
  }

  @Test func `6: without pull and alignment it is FedIT beside an emulator that stays`()
    async throws
  {
    let federation = try ToyFederation(
      makeMethod { ($0.anchorWeight, $0.alignmentSteps, $0.initialSteps) = (0, 0, 0) })
    let plain = try ToyFederation(FedIT(FedIT.Options()))
    try await federation.run(0..<3)
    try await plain.run(0..<3)
    #expect(federation.server.global.filtered(.all).isIdentical(to: plain.server.global))
    let initial = federation.trainers[0].initial.ofAdapter(EmulatorPlan.adapterName)
    #expect(try federation.brief(1).tensors.ofAdapter("emulator").isIdentical(to: initial))
    // Aligned once, before the first round, it stays as it is then.
    let once = try ToyFederation(makeMethod { $0.alignmentSteps = 0 })
    let first = try once.brief(0).tensors.ofAdapter(EmulatorPlan.adapterName)
    #expect(!first.isIdentical(to: initial))
    try await once.run(0..<2)
    #expect(try once.brief(2).tensors.ofAdapter("emulator").isIdentical(to: first))
  }

  @Test func `the global model is the adapter, beside an emulator that adds nothing`() async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let global = federation.server.global
    #expect(
      global.ofAdapter(EmulatorPlan.adapterName)
        .isIdentical(to: federation.trainers[0].initial.ofAdapter(EmulatorPlan.adapterName)))
    #expect(
      global.filtered(.all).isIdentical(to: try federation.brief(0).tensors.filtered(.all)))
    let resting = federation.method.modelExtension.resting
    #expect(resting.emulator == nil)
    guard case .constant(0) = resting["emulator"].weight else {
      Issue.record("the emulator's adapters act in the whole model")
      return
    }
  }

  @Test func `a round reports how far the emulator was`() async throws {
    let federation = try ToyFederation(makeMethod { $0.divergenceWeight = 0.25 })
    try await federation.run(0..<1)
    #expect(try #require(federation.metrics[0]["emulator_representation"]) > 0)
    #expect(federation.metrics[0]["emulator_divergence"] == 0.25)
    #expect(federation.metrics[0]["aggregation_bias"] != nil)
  }

  @Test func `a server without rows of its own says which setting gives it some`() throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    let setting = ServerSetting(
      initial: trainer.initial, factorPairs: ToyTrainer.pairs, aggregation: Aggregation())
    let error = #expect(throws: ApusError.self) { try makeMethod().server(setting) }
    #expect(error?.location == "data.public-rows")
  }

  @Test func `a trainer without an emulator says so, rather than train the whole model`() throws {
    var mixture = AdapterMixture()
    try RankOneTrainer(client: 0).load(mixture)
    mixture.emulator = EmulatorPlan(dropShare: 0.5, adaptedBlocks: 1)
    let error = #expect(throws: ApusError.self) { try RankOneTrainer(client: 0).load(mixture) }
    #expect(error?.code == .unsupported && error?.problem.contains("emulator") == true)
  }

  @Test func `options that make no sense are refused, by name`() {
    let changes: [(name: String, change: (inout FedBiOT.Options) -> Void)] = [
      ("adapted-blocks", { $0.adaptedBlocks = 0 }), ("drop-share", { $0.dropShare = 1 }),
      ("alignment-steps", { $0.alignmentSteps = -1 }), ("initial-steps", { $0.initialSteps = -1 }),
      ("anchor-weight", { $0.anchorWeight = .nan }),
      ("divergence-weight", { $0.divergenceWeight = -1 }),
    ]
    for (name, change) in changes {
      var options = FedBiOT.Options()
      change(&options)
      let error = #expect(throws: ApusError.self) { try options.validate() }
      #expect(error?.location == name)
    }
  }
}

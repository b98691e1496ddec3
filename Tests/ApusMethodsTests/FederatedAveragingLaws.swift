import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeFedIT() -> FedIT { FedIT(FedIT.Options()) }

/// One epoch of plain SGD on all rows at once: a single gradient step.
private var fullBatch: LocalTraining {
  var training = LocalTraining()
  training.batchSize = 1_000
  training.learningRate = 0.1
  training.optimizer.kind = .sgd
  return training
}

@Suite struct FederatedAveragingLaws {
  @Test func `one full-batch step of all clients is a gradient step on all rows`() async throws {
    let federation = try ToyFederation(makeFedIT(), training: fullBatch)
    let pooled = try ToyFederation(
      makeFedIT(), trainers: [ToyTrainer(pooling: ToyFederation.makeTrainers())],
      training: fullBatch)
    try await federation.run(0..<1)
    try await pooled.run(0..<1)
    expectClose(
      federation.server.global, pooled.server.global, absolute: 1e-6, relative: 1e-6)
    #expect(!pooled.server.global.isIdentical(to: federation.trainers[0].initial))
  }

  @Test func `uniform weights ignore the number of rows`() async throws {
    var aggregation = Aggregation()
    aggregation.weighting = .uniform
    let federation = try ToyFederation(makeFedIT(), aggregation: aggregation)
    try await federation.run(0..<1)
    for name in federation.server.global.names {
      let values = try (0..<3).map { try #require(federation.updates[$0]?.tensors[name]) }
      let mean = stacked(values.map { $0.to(.float64) }).mean([0])
      expectClose(
        NamedTensors([name: try #require(federation.server.global[name])]),
        NamedTensors([name: mean]), absolute: 1e-7, relative: 1e-6)
    }
  }

  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases)
  func `the configured server optimizer takes the step`(
    kind: ServerOptimizerConfiguration.Kind
  ) async throws {
    var aggregation = Aggregation()
    aggregation.server.kind = kind
    aggregation.server.learningRate = 0.5
    let federation = try ToyFederation(makeFedIT(), aggregation: aggregation)
    var optimizer = ServerOptimizer(aggregation.server)
    var expected = federation.server.global
    for round in 0..<3 {
      try await federation.run(round..<(round + 1))
      var mean = WeightedMean(like: expected)
      for client in 0..<3 {
        let update = try #require(federation.updates[client])
        try mean.absorb(update.tensors, weight: Double(4 + 3 * client), at: "here")
      }
      let average = mean.finish()
      expected = optimizer.step(expected, towards: try #require(average))
      #expect(federation.server.global.isIdentical(to: expected))
    }
  }

  @Test func `only the clients of the cohort count`() async throws {
    let federation = try ToyFederation(makeFedIT())
    try await federation.run(0..<1, cohort: [2])
    #expect(
      federation.server.global.isIdentical(to: try #require(federation.updates[2]?.tensors)))
  }

  @Test func `the bias can be left out`() async throws {
    var options = FedIT.Options()
    options.reportsBias = false
    let federation = try ToyFederation(FedIT(options))
    try await federation.run(0..<1)
    #expect(federation.metrics == [[:]])
  }
}

import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeLegend(step: Int = 1, scaling: LEGEND.Options.Scaling = .constant) -> LEGEND {
  var options = LEGEND.Options()
  (options.rankStep, options.scaling) = (step, scaling)
  return LEGEND(options)
}

/// Client 1 is ten times as slow as the others.
@Sendable private func device(of client: ClientID) -> DeviceTraits {
  DeviceTraits(name: "d", secondsPerStep: client.index == 1 ? 10 : 1)
}

private func makeFederation(_ method: LEGEND = makeLegend()) throws -> ToyFederation {
  try ToyFederation(
    method, trainers: (0..<3).map { ToyTrainer(client: $0, rows: 6) }, device: device)
}

private let pairs = ToyTrainer.pairs

/// The properties of the method's card, by their numbers; those of the plan are in its own laws.
@Suite struct LEGENDLaws {
  @Test func `1: equal devices train every block`() async throws {
    let federation = try ToyFederation(makeLegend())
    try await federation.run(0..<3)
    for update in federation.updates.values {
      #expect(update.tensors.factors(of: pairs).count == 4)
    }
    #expect(federation.metrics.last?["waiting_seconds"] == 0)
    #expect(federation.metrics.last?["depth_gap"] == 0)
  }

  @Test func `2, 3: a slow device gives up the blocks near the input, and waiting shrinks`()
    async throws
  {
    let federation = try makeFederation()
    try await federation.run(0..<2)
    let slow = try #require(federation.updates[1]?.tensors)
    #expect(slow.factors(of: pairs).names == [pairs[1].a, pairs[1].b])
    for client in [0, 2] {
      #expect(federation.updates[client]?.tensors.factors(of: pairs).count == 4)
    }
    // f = 4/3 and 40/3 a round of four steps, μ as much a block: 36 − 3.6 … before, 24 after.
    let waiting = try #require(federation.metrics.last?["waiting_seconds"])
    #expect(abs(waiting - 2.0 / 3 * (80.0 / 3 - 4)) < 1e-6)
  }

  @Test func `4: ranks grow towards the output within the adapter's budget`() throws {
    let federation = try ToyFederation(
      makeLegend(), trainers: [ToyTrainer(client: 0, rows: 5, rank: 3)])
    // Ψ = 2·3, so r₀ = ⌊(6 − 1) / 2⌋ = 2.
    #expect(federation.server.global.rank(of: pairs[0]) == 2)
    #expect(federation.server.global.rank(of: pairs[1]) == 3)
  }

  @Test func `5: a block is averaged over the devices that train it`() async throws {
    let federation = try makeFederation()
    try await federation.run(0..<2)
    for (pair, owners) in zip(pairs, [[0, 2], [0, 1, 2]]) {
      for name in [pair.a, pair.b] {
        let sent = try owners.map { try #require(federation.updates[$0]?.tensors[name]) }
        let mean = stacked(sent.map { $0.to(.float64) }).sum([0]) / Double(owners.count)
        expectClose(
          try #require(federation.server.global[name]).to(.float64), mean, absolute: 1e-7)
      }
    }
  }

  @Test func `5: a block that nobody trained keeps every bit`() async throws {
    let federation = try makeFederation()
    try await federation.run(0..<1)
    let before = federation.server.global
    try await federation.run(1..<2, cohort: [1])
    let after = federation.server.global
    #expect(after[pairs[0].a]?.isIdentical(to: try #require(before[pairs[0].a])) == true)
    #expect(after[pairs[0].b]?.isIdentical(to: try #require(before[pairs[0].b])) == true)
    #expect(after[pairs[1].b]?.isIdentical(to: try #require(before[pairs[1].b])) == false)
  }

  @Test func `6: below the trained blocks nothing moves, and LoRA adds nothing`() async throws {
    let federation = try makeFederation()
    try await federation.run(0..<2)
    let trainer = federation.trainers[1]
    #expect(trainer.moved == ["head.bias", pairs[1].a, pairs[1].b])
    #expect(trainer.trainables[pairs[0].b]?.anyTrue == false)
  }

  @Test func `7: with equal ranks and devices it is FedIT, bit for bit`() async throws {
    var uniform = Aggregation()
    uniform.weighting = .uniform
    let legend = try ToyFederation(makeLegend(step: 0), aggregation: uniform)
    let fedit = try ToyFederation(FedIT(FedIT.Options()), aggregation: uniform)
    try await legend.run(0..<3)
    try await fedit.run(0..<3)
    #expect(legend.server.global.isIdentical(to: fedit.server.global))
  }

  @Test func `8: messages have Σ r(d_in + d_out) over the device's blocks, and the head`()
    async throws
  {
    let federation = try makeFederation()
    try await federation.run(0..<2)
    // Ranks 1 and 2.
    for (client, count) in [(0, 9 + 2 * 8 + 3), (1, 2 * 8 + 3), (2, 9 + 2 * 8 + 3)] {
      #expect(federation.updates[client]?.tensors.elementCount == count)
      #expect(try federation.brief(client).tensors.elementCount == count)
      #expect(federation.metrics.last?["parameters/client \(client)"] == Double(count))
    }
  }

  @Test func `with s = alpha / r the global model has the ratio in its B`() async throws {
    let federation = try ToyFederation(makeLegend(scaling: .alphaOverRank))
    try await federation.run(0..<1)
    let brief = try federation.brief(0).tensors
    let (sent, global) = (brief[pairs[0].b], federation.server.global[pairs[0].b])
    // Rank 1 rather than 2.
    #expect(try #require(global).isIdentical(to: try #require(sent) * 2))
    #expect(federation.trainers[0].scalings["first"] == 2 * ToyTrainer.scaling)
    #expect(federation.trainers[0].scalings["second"] == ToyTrainer.scaling)
  }
}

import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeFedIT() -> FedIT { FedIT(FedIT.Options()) }

/// The server's half over one site of d_out = d_in = r = 1.
private func scalarServer() -> any ServerHalf {
  makeFedIT().server(
    ServerSetting(
      initial: NamedTensors(["A": .ones([1, 1]), "B": .zeros([1, 1])]),
      factorPairs: [FactorPair(site: "q", a: "A", b: "B", scaling: 1)],
      aggregation: Aggregation()))
}

/// The properties of the method's card, by their numbers.
@Suite struct FedITLaws {
  @Test func `1: before any training the model is the frozen one, bit for bit`() async throws {
    let federation = try ToyFederation(makeFedIT())
    _ = try await federation.evaluate(0)  // loads the first brief
    let trainer = federation.trainers[0]
    #expect(trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
    try await federation.run(0..<1)
    #expect(!trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
  }

  @Test func `2: the frozen weights keep every bit, and are never sent`() async throws {
    let federation = try ToyFederation(makeFedIT())
    let before = federation.trainers.map { $0.frozen.copied() }
    try await federation.run(0..<3)
    for (trainer, frozen) in zip(federation.trainers, before) {
      #expect(trainer.frozen.isIdentical(to: frozen))
    }
    #expect(federation.updates[0]?.tensors.names == federation.trainers[0].initial.names)
  }

  @Test func `3: one client is training alone, with a fresh optimizer every round`() async throws {
    let federation = try ToyFederation(
      makeFedIT(), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<3)
    let alone = ToyTrainer(client: 1, rows: 7)
    for index in 0..<3 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      _ = try await alone.train(
        LocalWork(
          training: ToyFederation.training,
          random: round.random(of: ClientID(index: 0, name: "alone"))))
    }
    #expect(federation.server.global.isIdentical(to: alone.trainables))
    #expect(!alone.trainables.isIdentical(to: alone.initial))
  }

  @Test func `4: the reported gap is that of the products, and 0 where there is none`()
    async throws
  {
    let federation = try ToyFederation(makeFedIT())
    try await federation.run(0..<2)
    let shares = [4, 7, 10].map { Double($0) / 21 }
    var (gap, whole) = (0.0, 0.0)
    for pair in ToyTrainer.pairs {
      let factors = try (0..<3).map { client in
        let tensors = try #require(federation.updates[client]?.tensors)
        return (
          a: try #require(tensors[pair.a]).to(.float64),
          b: try #require(tensors[pair.b]).to(.float64)
        )
      }
      let ideal = stacked(zip(factors, shares).map { matmul($0.b, $0.a) * $1 }).sum([0])
      let meanA = stacked(zip(factors, shares).map { $0.a * $1 }).sum([0])
      let meanB = stacked(zip(factors, shares).map { $0.b * $1 }).sum([0])
      gap += (ideal - matmul(meanB, meanA)).squared.sum().item
      whole += ideal.squared.sum().item
    }
    let expected = (gap / whole).squareRoot()
    let reported = try #require(federation.metrics.last?["aggregation_bias"])
    #expect(abs(reported - expected) < 1e-5 * expected)
    #expect(expected > 1e-4)

    let alone = try ToyFederation(makeFedIT(), trainers: [ToyTrainer(client: 0, rows: 5)])
    try await alone.run(0..<1)
    #expect(try #require(alone.metrics[0]["aggregation_bias"]) < 1e-6)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `5: neither a constant factor of all nₖ nor the clients' order matters`(
    seed: UInt64
  ) async throws {
    let federation = try ToyFederation(makeFedIT())
    try await federation.run(0..<1)
    var stream = RandomStream(seed: seed)
    let factor = Double(1 + stream.integer(below: 1_000))
    try federation.withServer { server, id, round in
      for (client, update) in federation.updates.sorted(by: { $0.key < $1.key }) {
        try server.absorb(update, from: id, weight: Double(4 + 3 * client), round: round)
      }
      _ = try server.finish(round: round)
    }
    let expected = federation.server.global
    try federation.withServer { server, id, round in
      for client in stream.shuffled(0..<3) {
        let update = try #require(federation.updates[client])
        try server.absorb(update, from: id, weight: factor * Double(4 + 3 * client), round: round)
      }
      _ = try server.finish(round: round)
    }
    expectClose(federation.server.global, expected, absolute: 1e-7, relative: 1e-6)
  }

  @Test(arguments: [2, 3, 7])
  func `6: identical clients give the same as one, bit for bit`(count: Int) async throws {
    let many = try ToyFederation(
      makeFedIT(), trainers: (0..<count).map { _ in ToyTrainer(client: 2, rows: 8) },
      sameSeed: true)
    let one = try ToyFederation(makeFedIT(), trainers: [ToyTrainer(client: 2, rows: 8)])
    try await many.run(0..<3)
    try await one.run(0..<3)
    #expect(many.server.global.isIdentical(to: one.server.global))
  }

  @Test(arguments: [1, 3])
  func `7: an update has 4 bytes a parameter and a header, for any number of clients`(
    count: Int
  ) async throws {
    let federation = try ToyFederation(
      makeFedIT(), trainers: (0..<count).map { ToyTrainer(client: $0, rows: 5) })
    try await federation.run(0..<1)
    for update in federation.updates.values {
      let bytes = try update.encoded()
      let header = bytes.prefix(8).enumerated().reduce(0) {
        $0 + Int($1.element) << (8 * $1.offset)
      }
      // r(d_in + d_out) of both sites, and the head.
      #expect(bytes.count == 8 + header + 4 * (2 * (4 + 5) + 2 * (5 + 3) + 3))
      #expect(update.sampleCount == 5)
    }
  }

  @Test func `8: the card's example: product 4, ideal 5, R = 1`() throws {
    var server = scalarServer()
    let id = ClientID(index: 0, name: "a")
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    for value in [1.0, 3] {
      let factors = NamedTensors(["A": .full([1, 1], value), "B": .full([1, 1], value)])
      try server.absorb(
        Message(tensors: factors, sampleCount: 6), from: id, weight: 6, round: round)
    }
    let metrics = try server.finish(round: round)
    let (a, b) = (try #require(server.global["A"]), try #require(server.global["B"]))
    #expect(matmul(b, a).item == 4)
    #expect(abs(try #require(metrics["aggregation_bias"]) - 1.0 / 5) < 1e-12)
  }
}

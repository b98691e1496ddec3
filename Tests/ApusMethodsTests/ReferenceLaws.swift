import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import Foundation
import Testing

@Suite struct CentralisedLaws {
  @Test func `it is FedIT with a single client, bit for bit`() async throws {
    let rows = ToyFederation.makeTrainers()
    let centralised = try ToyFederation(
      Centralised(NoOptions()), trainers: [ToyTrainer(pooling: rows)])
    let federated = try ToyFederation(FedIT(FedIT.Options()), trainers: [ToyTrainer(pooling: rows)])
    try await centralised.run(0..<3)
    try await federated.run(0..<3)
    #expect(centralised.server.global.isIdentical(to: federated.server.global))
    #expect(try await centralised.evaluate(0) == federated.evaluate(0))
  }

  @Test func `it is a plain loop over rounds of training, bit for bit`() async throws {
    let rows = ToyFederation.makeTrainers()
    let centralised = try ToyFederation(
      Centralised(NoOptions()), trainers: [ToyTrainer(pooling: rows)])
    try await centralised.run(0..<3)
    let alone = ToyTrainer(pooling: rows)
    for index in 0..<3 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      _ = try await alone.train(
        LocalWork(
          training: ToyFederation.training,
          random: round.random(of: ClientID(index: 0, name: "all"))))
    }
    #expect(centralised.server.global.isIdentical(to: alone.trainables))
    #expect(Centralised.poolsData)
  }
}

@Suite struct LocalLaws {
  private func make() throws -> ToyFederation { try ToyFederation(Local(NoOptions())) }

  @Test func `no tensor goes up or down`() async throws {
    let federation = try make()
    try await federation.run(0..<2)
    for update in federation.updates.values { #expect(update.tensors.isEmpty) }
    try federation.withServer { server, id, round in
      let brief = try server.brief(for: id, round: round)
      #expect(brief.tensors.isEmpty)
      #expect(throws: ApusError.self) {
        try server.absorb(
          Message(tensors: NamedTensors(["x": .ones([1])])), from: id, weight: 1, round: round)
      }
    }
    #expect(federation.server.global.isIdentical(to: federation.trainers[0].initial))
  }

  @Test func `every client is its own training alone`() async throws {
    let federation = try make()
    try await federation.run(0..<2)
    for client in 0..<3 {
      let alone = ToyTrainer(client: client, rows: 4 + 3 * client)
      for index in 0..<2 {
        let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
        _ = try await alone.train(
          LocalWork(
            training: ToyFederation.training,
            random: round.random(of: ClientID(index: client, name: "alone"))))
      }
      let stored = try Snapshot(encoded: federation.stored()[client + 1], at: "client")
      #expect(stored.tensors.isIdentical(to: alone.trainables))
    }
  }

  @Test func `what a client learned persists through rounds without it`() async throws {
    let federation = try make()
    try await federation.run(0..<1, cohort: [0, 1])
    let (learned, measured) = (try federation.stored()[1], try await federation.evaluate(0))
    try await federation.run(1..<3, cohort: [1, 2])
    #expect(try federation.stored()[1] == learned)
    #expect(try await federation.evaluate(0) == measured)
  }

  @Test func `restoring a client that never trained makes it one`() async throws {
    let federation = try make()
    let (untrained, before) = (try federation.stored(), try await federation.evaluate(1))
    try await federation.run(0..<1)
    try federation.restore(untrained)
    #expect(try federation.stored() == untrained)
    #expect(try await federation.evaluate(1) == before)
  }

  @Test func `a snapshot of another model is refused`() throws {
    let federation = try make()
    let empty = try federation.stored()[0]
    let other = try Snapshot(tensors: NamedTensors(["x": .ones([1])])).encoded()
    #expect(throws: ApusError.self) { try federation.restore([empty, other, empty, empty]) }
  }
}

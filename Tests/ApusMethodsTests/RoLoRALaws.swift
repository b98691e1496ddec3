import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod() -> RoLoRA { RoLoRA(RoLoRA.Options()) }

/// The properties of the method's card, by their numbers.
@Suite struct RoLoRALaws {
  @Test func `1, 4: by turns one factor learns, and the other has no gradient and keeps every bit`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    for round in 0..<4 {
      let (trained, frozen): (TensorRoles, TensorRoles) = round % 2 == 0 ? (.b, .a) : (.a, .b)
      let before = federation.server.global
      try await federation.run(round..<(round + 1))
      let after = federation.server.global
      #expect(after.filtered([frozen, .head]).isIdentical(to: before.filtered([frozen, .head])))
      for (name, tensor) in after.filtered(trained) {
        #expect(before[name].map { tensor.isIdentical(to: $0) } == false, "round \(round), \(name)")
      }
      for trainer in federation.trainers {
        #expect(trainer.moved == after.filtered(trained).names)
        #expect(trainer.trainables.filtered(frozen).isIdentical(to: before.filtered(frozen)))
      }
    }
  }

  @Test func `2: the first round trains B, since A would get a gradient of zero`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    #expect(federation.trainers[0].moved.allSatisfy { $0.contains("lora_B") })
    let trainer = ToyTrainer(client: 0, rows: 4)
    _ = try await trainer.train(
      LocalWork(
        training: ToyFederation.plain, random: RandomStream(seed: 1),
        selects: { $0.contains("lora_A") }))
    #expect(trainer.trainables.isIdentical(to: trainer.initial))
  }

  @Test(arguments: [0, 1, 2, 3])
  func `3: averaging the factor is averaging the products, in rounds of both kinds`(
    last: Int
  ) async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<last)
    let before = federation.server.global
    try await federation.run(last..<(last + 1))
    let ideal = combined(
      federation.sharedUpdates().map { ($0.share, products($0.tensors, beside: before)) })
    expectClose(products(federation.server.global), ideal, absolute: 1e-6, relative: 1e-6)
    #expect(try #require(federation.metrics.last?["aggregation_bias"]) < 1e-6)
  }

  @Test func `5: one client is block-coordinate descent, alone`() async throws {
    let federation = try ToyFederation(makeMethod(), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<4)
    let alone = ToyTrainer(client: 1, rows: 7)
    for index in 0..<4 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      let factor = index % 2 == 0 ? "lora_B" : "lora_A"
      _ = try await alone.train(
        LocalWork(
          training: ToyFederation.training,
          random: round.random(of: ClientID(index: 0, name: "alone")),
          selects: { $0.contains(factor) }))
    }
    #expect(federation.server.global.isIdentical(to: alone.trainables))
  }

  @Test func `6: two rounds send up what one of FedIT does, without the head`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    let b = try #require(federation.updates[0]).payloadCount()
    try await federation.run(1..<2)
    let a = try #require(federation.updates[0]).payloadCount()
    #expect(b == 4 * (5 * 2 + 3 * 2))
    #expect(a == 4 * (2 * 4 + 2 * 5))
    let both = try ToyFederation(FedIT(FedIT.Options()))
    try await both.run(0..<1)
    #expect(try #require(both.updates[0]).payloadCount() == a + b + 4 * 3)
  }

  @Test func `down comes what has changed since the client's last round, and both after a pause`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    let a = ["first.lora_A.weight", "second.lora_A.weight"]
    let b = ["first.lora_B.weight", "second.lora_B.weight"]
    let both = [a[0], b[0], a[1], b[1]]
    func brief(_ index: Int) throws -> [String] { try federation.brief(index).tensors.names }
    #expect(try brief(0).isEmpty)  // the start values are the seed's
    try await federation.run(0..<1)
    #expect(try brief(0) == b)
    try await federation.run(1..<2)
    #expect(try brief(0) == a)
    try await federation.run(2..<3, cohort: [1, 2])
    #expect(try brief(1) == b)
    #expect(try brief(0) == both)
    try await federation.run(3..<4)
    for client in 0..<3 {
      _ = try await federation.evaluate(client)
      #expect(
        federation.trainers[client].trainables.isIdentical(to: federation.server.global))
    }
  }

  @Test func `7: without the rounds of A it is FFA-LoRA, bit for bit`() async throws {
    let alternating = try ToyFederation(makeMethod())
    let frozen = try ToyFederation(FFALoRA(FFALoRA.Options()))
    for round in [0, 2, 4] {
      try await alternating.run(round..<(round + 1))
      try await frozen.run(round..<(round + 1))
    }
    #expect(alternating.server.global.isIdentical(to: frozen.server.global))
    #expect(try alternating.updates[2]?.encoded() == frozen.updates[2]?.encoded())
  }

  @Test func `8: a regression of rank 1 is fitted, where FFA-LoRA stays above a floor`()
    async throws
  {
    #expect(try await regressionLoss(makeMethod(), rounds: 20) < 1e-6)
    #expect(try await regressionLoss(FFALoRA(FFALoRA.Options()), rounds: 20) > 0.5)
  }

  @Test func `a head that trains does so in every round`() async throws {
    var options = RoLoRA.Options()
    options.trainsHead = true
    let federation = try ToyFederation(RoLoRA(options))
    for (round, factor) in ["lora_B", "lora_A"].enumerated() {
      try await federation.run(round..<(round + 1))
      #expect(
        federation.updates[0]?.tensors.names
          == ["first.\(factor).weight", "head.bias", "second.\(factor).weight"])
    }
  }

  @Test func `the rate's factor acts on B alone`() async throws {
    var options = RoLoRA.Options()
    options.bRateFactor = 4
    let faster = try ToyFederation(RoLoRA(options), training: ToyFederation.plain)
    let even = try ToyFederation(makeMethod(), training: ToyFederation.plain)
    for federation in [faster, even] { try await federation.run(0..<1, stepLimit: 1) }
    let fourfold = even.server.global.filtered(.b).mapValues { $0 * 4 }
    expectClose(
      faster.server.global.filtered(.b), fourfold, absolute: 1e-7, relative: 1e-6)
    // From equal factors, the rounds of A are equal.
    try faster.restore(even.stored())
    for federation in [faster, even] { try await federation.run(1..<2) }
    #expect(faster.server.global.isIdentical(to: even.server.global))
    options.bRateFactor = 0
    let error = #expect(throws: ApusError.self) { try options.validate() }
    #expect(error?.location == "b-rate-factor")
  }
}

/// Mean loss of two clients of a rank-1 regression after rounds of gradient descent.
private func regressionLoss(_ method: any FederatedMethod, rounds: Int) async throws -> Double {
  let trainers = (0..<2).map { RankOneTrainer(client: $0) }
  var training = LocalTraining()
  training.localEpochs = 20
  training.learningRate = 0.1
  var server = try method.server(
    ServerSetting(
      initial: trainers[0].initial, factorPairs: [], aggregation: Aggregation()))
  var clients = try trainers.enumerated().map { index, trainer in
    let id = ClientID(index: index, name: "client \(index)")
    let setting = ClientSetting(id: id, trainer: trainer, training: training)
    return (id: id, half: try method.client(setting))
  }
  var loss = 0.0
  for index in 0...rounds {
    let round = Round(index: index, total: rounds, root: RandomStream(seed: 1))
    loss = 0
    for client in clients.indices {
      let id = clients[client].id
      let brief = try server.brief(for: id, round: round)
      let metrics = try await clients[client].half.evaluate(on: brief, split: .test, round: round)
      loss += metrics["loss"] ?? .nan
      let update = try await clients[client].half.train(on: brief, round: round)
      try server.absorb(update, from: id, weight: 64, round: round)
    }
    _ = try server.finish(round: round)
  }
  return loss / Double(trainers.count)
}

import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod() -> FedSALoRA { FedSALoRA(FedSALoRA.Options()) }

/// The properties of the method's card, by their numbers.
@Suite struct FedSALoRALaws {
  @Test func `1: after the broadcast all clients have one A, and each its own B and head`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    for client in 0..<3 {
      _ = try await federation.evaluate(client)  // loads the broadcast
      let tensors = federation.trainers[client].trainables
      #expect(
        tensors.filtered(.a).isIdentical(to: federation.server.global.filtered(.a)))
      #expect(
        tensors.filtered([.b, .head]).isIdentical(to: federation.personal(client)))
      for other in 0..<client {
        for (name, tensor) in federation.personal(other) {
          #expect(tensors[name].map { tensor.isIdentical(to: $0) } == false, "\(name)")
        }
      }
    }
  }

  @Test func `2: before any training the model is the frozen one, bit for bit`() async throws {
    let federation = try ToyFederation(makeMethod())
    _ = try await federation.evaluate(0)
    let trainer = federation.trainers[0]
    #expect(trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
    // So is the model of a new client, whatever the others have learned.
    try await federation.run(0..<2)
    try trainer.load(federation.server.global)
    #expect(trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
  }

  @Test func `3: A alone is sent, either way`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let names = ["first.lora_A.weight", "second.lora_A.weight"]
    for update in federation.updates.values {
      #expect(update.tensors.names == names)
      #expect(try update.payloadCount() == 4 * (2 * 4 + 2 * 5))
    }
    try federation.withServer { server, id, round in
      #expect(try server.brief(for: id, round: round).tensors.names == names)
      var more = try #require(federation.updates[0])
      more.tensors["first.lora_B.weight"] = .ones([5, 2])
      #expect(throws: ApusError.self) {
        try server.absorb(more, from: id, weight: 1, round: round)
      }
    }
  }

  @Test func `4: beside one A, the mean of the products is the product of the mean`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let shared = federation.server.global.filtered(.a)
    let own = (0..<3).map { (ToyFederation.shares[$0], federation.personal($0)) }
    let mean = combined(own.map { ($0.0, $0.1) })
    expectClose(
      products(mean, beside: shared),
      combined(own.map { ($0.0, products($0.1, beside: shared)) }), absolute: 1e-6, relative: 1e-6)
  }

  @Test func `5: one client is LoRA trained alone`() async throws {
    let federation = try ToyFederation(
      makeMethod(), trainers: [ToyTrainer(client: 1, rows: 7)], training: ToyFederation.plain)
    try await federation.run(0..<3)
    let alone = ToyTrainer(client: 1, rows: 7)
    for index in 0..<3 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      _ = try await alone.train(
        LocalWork(
          training: ToyFederation.plain,
          random: round.random(of: ClientID(index: 0, name: "alone"))))
    }
    _ = try await federation.evaluate(0)
    #expect(federation.trainers[0].trainables.isIdentical(to: alone.trainables))
  }

  @Test func `6: a client that is not drawn keeps B and head, bit for bit`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    let kept = federation.personal(1)
    try await federation.run(1..<3, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept))
    // It is measured beside what the others have made of A since.
    _ = try await federation.evaluate(1)
    #expect(federation.trainers[1].trainables.filtered([.b, .head]).isIdentical(to: kept))
    #expect(
      federation.trainers[1].trainables.filtered(.a)
        .isIdentical(to: federation.server.global.filtered(.a)))
  }

  @Test func `7: the first step of all moves B, and A not at all`() async throws {
    let federation = try ToyFederation(makeMethod(), training: ToyFederation.plain)
    try await federation.run(0..<1, stepLimit: 1)
    let initial = federation.trainers[0].initial
    for client in 0..<3 {
      #expect(federation.updates[client]?.tensors.isIdentical(to: initial.filtered(.a)) == true)
      for (name, tensor) in federation.personal(client) {
        #expect(initial[name].map { tensor.isIdentical(to: $0) } == false, "\(name)")
      }
    }
  }

  @Test func `8: the clients' order does not matter to A`() async throws {
    let federations = try [[0, 1, 2], [2, 0, 1]].map { order in
      try ToyFederation(
        makeMethod(), trainers: order.map { ToyTrainer(client: $0, rows: 4 + 3 * $0) },
        sameSeed: true)
    }
    for federation in federations { try await federation.run(0..<3) }
    expectClose(
      federations[1].server.global, federations[0].server.global, absolute: 1e-5, relative: 1e-5)
    #expect(
      !federations[0].server.global.isIdentical(to: federations[0].trainers[0].initial))
  }

  @Test func `a shared head is averaged with A, and kept by no client`() async throws {
    var options = FedSALoRA.Options()
    options.sharesHead = true
    let federation = try ToyFederation(FedSALoRA(options))
    try await federation.run(0..<2)
    #expect(
      federation.updates[0]?.tensors.names
        == ["first.lora_A.weight", "head.bias", "second.lora_A.weight"])
    #expect(
      federation.personal(0).names == ["first.lora_B.weight", "second.lora_B.weight"])
    expectClose(
      federation.server.global.filtered([.a, .head]), combined(federation.sharedUpdates()),
      absolute: 1e-7, relative: 1e-6)
  }
}

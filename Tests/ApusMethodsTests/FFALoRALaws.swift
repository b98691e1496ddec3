import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Testing

private func makeMethod() -> FFALoRA { FFALoRA(FFALoRA.Options()) }

/// The properties of the method's card, by their numbers.
@Suite struct FFALoRALaws {
  @Test func `1: A keeps every bit everywhere, and only B changes`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<3)
    let initial = federation.trainers[0].initial
    for tensors in federation.trainers.map(\.trainables) + [federation.server.global] {
      #expect(tensors.filtered([.a, .head]).isIdentical(to: initial.filtered([.a, .head])))
      for (name, tensor) in tensors.filtered(.b) {
        #expect(initial[name].map { tensor.isIdentical(to: $0) } == false, "\(name)")
      }
    }
  }

  @Test func `2: averaging B is averaging the products`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<3)
    let initial = federation.trainers[0].initial
    let ideal = combined(
      federation.sharedUpdates().map { ($0.share, products($0.tensors, beside: initial)) })
    expectClose(products(federation.server.global), ideal, absolute: 1e-6, relative: 1e-6)
    #expect(try #require(federation.metrics.last?["aggregation_bias"]) < 1e-6)
  }

  @Test(arguments: [2.0, 4, 3])
  func `3: s²η alone decides the course of the model, unlike in FedIT`(
    factor: Double
  ) async throws {
    func course(
      of method: any FederatedMethod, scaling: Double, rate: Double
    ) async throws -> [NamedTensors] {
      var training = ToyFederation.plain
      training.learningRate = rate
      training.optimizer.momentum = 0.5
      let federation = try ToyFederation(
        method,
        trainers: (0..<3).map { ToyTrainer(client: $0, rows: 4 + 3 * $0, scaling: scaling) },
        training: training)
      var course: [NamedTensors] = []
      for round in 0..<3 {
        try await federation.run(round..<(round + 1))
        course.append(products(federation.server.global, scaling: scaling))
      }
      return course
    }
    let (scaling, rate) = (0.5, 0.1)
    let (larger, slower) = (scaling * factor, rate / (factor * factor))
    let frozen = try await course(of: makeMethod(), scaling: scaling, rate: rate)
    let rescaled = try await course(of: makeMethod(), scaling: larger, rate: slower)
    for (found, expected) in zip(rescaled, frozen) {
      expectClose(found, expected, absolute: 1e-6, relative: 1e-5)
    }
    let both = FedIT(FedIT.Options())
    let one = try await course(of: both, scaling: scaling, rate: rate)
    let other = try await course(of: both, scaling: larger, rate: slower)
    let gap = combined([(1, try #require(one.last)), (-1, try #require(other.last))])
    #expect(gap.tensors.contains { $0.norm().item > 1e-3 })
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `4: noise on B enters the model once: s·ξ·A`(seed: UInt64) async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    let clean = products(federation.server.global)
    var stream = RandomStream(seed: seed)
    var noises: [(share: Double, tensors: NamedTensors)] = []
    try federation.withServer { server, id, round in
      for (client, update) in federation.updates.sorted(by: { $0.key < $1.key }) {
        let noise = update.tensors.mapValues { Tensor.normal($0.shape, stream: &stream) }
        noises.append((ToyFederation.shares[client], noise))
        var noisy = update
        for (name, tensor) in update.tensors {
          noisy.tensors[name] = noise[name].map { tensor + $0 }
        }
        try server.absorb(noisy, from: id, weight: Double(4 + 3 * client), round: round)
      }
      _ = try server.finish(round: round)
    }
    let change = combined([(1, products(federation.server.global)), (-1, clean)])
    expectClose(
      change, products(combined(noises), beside: federation.trainers[0].initial),
      absolute: 2e-6, relative: 1e-5)
  }

  @Test func `5: one client is LoRA with a frozen A, trained alone`() async throws {
    let federation = try ToyFederation(makeMethod(), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<3)
    let alone = ToyTrainer(client: 1, rows: 7)
    for index in 0..<3 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      _ = try await alone.train(
        LocalWork(
          training: ToyFederation.training,
          random: round.random(of: ClientID(index: 0, name: "alone")),
          selects: { $0.contains("lora_B") }))
    }
    #expect(federation.server.global.isIdentical(to: alone.trainables))
  }

  @Test func `6: no change leaves the row space of A`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<3)
    for pair in ToyTrainer.pairs {
      let a = try #require(federation.trainers[0].initial[pair.a]).to(.float64)
      let change = try #require(products(federation.server.global)[pair.site])
      let basis = qr(a.matrixTransposed).q  // [d_in, r], orthonormal
      let inside = matmul(matmul(change, basis), basis.matrixTransposed)
      #expect((change - inside).norm().item < 1e-6)
      #expect(change.norm().item > 1e-2)
    }
  }

  @Test func `7: only B is sent, either way, and only B gets a gradient`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let names = ["first.lora_B.weight", "second.lora_B.weight"]
    for (client, update) in federation.updates {
      #expect(update.tensors.names == names)
      #expect(try update.payloadCount() == 4 * (5 * 2 + 3 * 2))
      #expect(federation.trainers[client].moved == names)
    }
    try federation.withServer { server, id, round in
      #expect(try server.brief(for: id, round: round).tensors.names == names)
      var more = try #require(federation.updates[0])
      more.tensors["first.lora_A.weight"] = .ones([2, 4])
      #expect(throws: ApusError.self) {
        try server.absorb(more, from: id, weight: 1, round: round)
      }
    }
  }

  @Test func `a head that trains is averaged with B`() async throws {
    var options = FFALoRA.Options()
    options.trainsHead = true
    let federation = try ToyFederation(FFALoRA(options))
    try await federation.run(0..<2)
    #expect(
      federation.updates[0]?.tensors.names
        == ["first.lora_B.weight", "head.bias", "second.lora_B.weight"])
    let mean = combined(federation.sharedUpdates())
    expectClose(
      federation.server.global.filtered([.b, .head]), mean, absolute: 1e-7, relative: 1e-6)
  }

  @Test func `a client starts from the seed's A, whoever used its model before`() async throws {
    let federation = try ToyFederation(makeMethod())
    let trainer = federation.trainers[0]
    let fresh = try await federation.evaluate(0)
    try trainer.load(trainer.initial.mapValues { $0 + 1 })
    #expect(try await federation.evaluate(0) == fresh)
  }
}

import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeFR(trainsA: Bool = true) -> FRLoRA {
  var options = FRLoRA.Options()
  options.trainsA = trainsA
  return FRLoRA(options)
}

/// Training that moves nothing that float32 can tell.
private var still: LocalTraining {
  var training = ToyFederation.plain
  training.learningRate = 1e-30
  return training
}

/// B₀ and A₀ as a client keeps them.
private func start(_ bytes: Data) throws -> NamedTensors {
  try Snapshot(encoded: bytes, at: "snapshot").group("start")
}

/// One round in which these clients send these factors, completing changes as clients do.
private func play(
  _ server: inout any ServerHalf, _ index: Int, _ sent: [NamedTensors]
) throws -> NamedTensors {
  let round = Round(index: index, total: 10, root: RandomStream(seed: 1))
  var start = NamedTensors()
  for (client, factors) in sent.enumerated() {
    let id = ClientID(index: client, name: "client \(client)")
    let brief = try server.brief(for: id, round: round)
    if index == 0 { start = brief.tensors.withoutBaseDelta }
    var update = Message(tensors: factors.isEmpty ? start : factors, sampleCount: 1)
    update.fields["base_version"] = brief.fields["base_version"]
    try server.absorb(update, from: id, weight: 1, round: round)
  }
  _ = try server.finish(round: round)
  return start
}

/// A server over the weight of a drawn cohort, and factors of its shape.
private struct Stage {
  var server: any ServerHalf
  var cohort: DrawnCohort

  init(seed: UInt64 = 1) throws {
    cohort = try DrawnCohort(makeFR(), shape: [24, 20], seed: seed)
    server = cohort.server
  }

  mutating func draw() -> NamedTensors {
    let factors = cohort.draw()
    return NamedTensors([DrawnCohort.pair.a: factors.a, DrawnCohort.pair.b: factors.b])
  }

  var delta: Tensor {
    (BaseDelta(in: server.global).sites["q"] ?? cohort.weight.zerosLike).to(.float64)
  }
}

private func product(_ values: NamedTensors) throws -> Tensor {
  let (a, b) = (
    try #require(values[DrawnCohort.pair.a]), try #require(values[DrawnCohort.pair.b])
  )
  return matmul(b.to(.float64), a.to(.float64)) * DrawnCohort.pair.scaling
}

/// The properties of the method's card, by their numbers.
@Suite struct FRLoRALaws {
  @Test func `1, 3: with LoRA at its start the model is the published one, and the base stays`()
    async throws
  {
    let federation = try ToyFederation(makeFR(), training: still)
    try await federation.run(0..<2)
    for trainer in federation.trainers {
      let fresh = ToyTrainer(
        client: federation.trainers.firstIndex { $0 === trainer } ?? 0,
        rows: trainer.sampleCount)
      expectClose(
        trainer.answers(adapted: true), fresh.answers(adapted: false), absolute: 1e-5)
      #expect(!trainer.baseDelta.isEmpty)  // −s·B₀A₀
    }
    for matrix in BaseDelta(in: federation.server.global).sites.tensors {
      #expect(matrix.magnitude.max().item < 1e-5)
    }
  }

  @Test func `2: B₀ and A₀ are the principal directions of the published weight`() throws {
    var stage = try Stage()
    let start = try play(&stage.server, 0, [NamedTensors()])
    let expected = svd(stage.cohort.weight.to(.float64))
    let top = matmul(
      expected.u.sliced(1, 0..<2) * expected.s.sliced(0, 0..<2), expected.vt.sliced(0, 0..<2))
    expectClose(try product(start), top, absolute: 1e-5)
    let b = try #require(start[DrawnCohort.pair.b])
    let gram = matmul(b.matrixTransposed, b)
    #expect(abs(gram.doubles[1]) < 1e-5)
    let values = expected.s.doubles.map { $0 / DrawnCohort.pair.scaling }
    #expect(abs(gram.doubles[0] - values[0]) < 1e-4 && abs(gram.doubles[3] - values[1]) < 1e-4)
  }

  @Test(arguments: 0..<3 as Range<UInt64>)
  func `4, 5: each round adds s(B̄Ā − B₀A₀), so that the rank grows`(seed: UInt64) throws {
    var stage = try Stage(seed: seed)
    var start = NamedTensors()
    for index in 0..<4 {
      let before = stage.delta
      let sent = [stage.draw(), stage.draw()]
      let first = try play(&stage.server, index, sent)
      if index == 0 { start = first }
      let mean = combined(sent.map { (0.5, $0) })
      expectClose(
        stage.delta, before + (try product(mean)) - (try product(start)), absolute: 1e-5)
      let values = svd(stage.delta).s.doubles
      #expect(values.filter { $0 > 1e-5 * values[0] }.count == 2 * (index + 2))
    }
    try Tensor.check()
  }

  @Test func `6: all bases have the same bits, and LoRA starts from the same bits`() async throws {
    let federation = try ToyFederation(makeFR())
    try await federation.run(0..<1)
    let kept = try start(federation.stored()[1])
    try await federation.run(1..<4, cohort: [0, 2])
    try await federation.run(4..<5)
    let expected = BaseDelta(in: federation.server.global).sites
    for (client, trainer) in federation.trainers.enumerated() {
      _ = try await federation.evaluate(client)
      #expect(trainer.baseDelta.sites.isIdentical(to: expected))
      #expect(try start(federation.stored()[client + 1]).isIdentical(to: kept))
    }
    #expect(try start(federation.stored()[0]).isIdentical(to: kept))
    #expect(kept.count == 4)
  }

  @Test func `7: one client in one round is LoRA from principal directions`() async throws {
    let federation = try ToyFederation(makeFR(), trainers: [ToyTrainer(client: 1, rows: 7)])
    try await federation.run(0..<1)
    let begin = try start(federation.stored()[0])
    let alone = ToyTrainer(client: 1, rows: 7)
    var (change, delta) = (BaseChange(), BaseDelta())
    for pair in ToyTrainer.pairs {
      change.add(
        pair.site, u: try #require(begin[pair.b]) * -pair.scaling, v: try #require(begin[pair.a]))
    }
    try delta.add(change)
    try alone.load(delta)
    try alone.load(begin)
    let round = Round(index: 0, total: 10, root: RandomStream(seed: 3))
    _ = try await alone.train(
      LocalWork(
        training: ToyFederation.training,
        random: round.random(of: ClientID(index: 0, name: "alone"))))
    _ = try await federation.evaluate(0)
    expectClose(
      federation.trainers[0].answers(adapted: true), alone.answers(adapted: true), absolute: 1e-5)
  }

  @Test func `8: the head goes on, and a known client gets no more than the means`() async throws {
    let federation = try ToyFederation(makeFR())
    #expect(try federation.brief(0).tensors.elementCount == 2 * (4 + 5 + 5 + 3) + 3)
    try await federation.run(0..<2)
    let mean = combined(federation.sharedUpdates())
    let head = try #require(federation.server.global["head.bias"])
    #expect(head.isIdentical(to: try #require(mean["head.bias"]).to(.float32)))
    #expect(head.anyTrue)
    // Rank 2 of a weight [5, 4] is 18 of 20 elements, of one [3, 5] it is more than the weight.
    #expect(try federation.brief(1).tensors.elementCount == 18 + 15 + 3)
  }

  @Test func `A can stay as it began, as in the released code`() async throws {
    let federation = try ToyFederation(makeFR(trainsA: false))
    try await federation.run(0..<2)
    let begin = try start(federation.stored()[0])
    for pair in ToyTrainer.pairs {
      let sent = try #require(federation.updates[1]?.tensors[pair.a])
      #expect(sent.isIdentical(to: try #require(begin[pair.a])))
      #expect(
        !(try #require(federation.updates[1]?.tensors[pair.b])).isIdentical(
          to: try #require(begin[pair.b])))
    }
  }
}

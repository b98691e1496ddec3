import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private func makeMethod(_ change: (inout PF2LoRA.Options) -> Void = { _ in }) -> PF2LoRA {
  var options = PF2LoRA.Options()
  (options.privateRank, options.privateRate) = (1, 0.05)
  change(&options)
  return PF2LoRA(options)
}

/// The properties of the method's card, by their numbers; 3 and 5 are those of ``BilevelStep``.
@Suite struct PF2LoRALaws {
  @Test func `1: first the model is the frozen one, and the first lower step moves D alone`()
    async throws
  {
    let federation = try ToyFederation(makeMethod(), training: ToyFederation.plain)
    _ = try await federation.evaluate(0)
    let trainer = federation.trainers[0]
    #expect(trainer.answers(adapted: true).isIdentical(to: trainer.answers(adapted: false)))
    try await federation.run(0..<1, stepLimit: 1)
    for (name, tensor) in federation.personal(0) where name.hasPrefix("private/") {
      let own = String(name.dropFirst("private/".count))
      let start = try #require(trainer.initial[own])
      #expect(tensor.isIdentical(to: start) == name.contains("lora_A"), "\(name)")
    }
  }

  @Test(arguments: [2, 3, 4])
  func `2: the private product adds directions or takes some away`(common: Int) {
    var stream = RandomStream(seed: UInt64(common))
    func draw(_ shape: [Int]) -> Tensor { Tensor.normal(shape, stream: &stream) }
    let (a, b) = (draw([common, 8]), draw([9, common]))
    var more = FactoredSum()
    more.add(b: b, a: a, weight: 1)
    more.add(b: draw([9, 1]), a: draw([1, 8]), weight: 1)
    #expect(more.numericalRank(relativeTo: 1e-3) == common + 1)
    var less = FactoredSum()
    less.add(b: b, a: a, weight: 1)
    less.add(b: b.sliced(1, 0..<1), a: a.sliced(0, 0..<1), weight: -1)
    #expect(less.numericalRank(relativeTo: 1e-3) == common - 1)
  }

  @Test func `3: the ways to the hypergradient lead to one place, the blunt one to another`()
    async throws
  {
    let ends = try await HypergradientRule.allCases.asyncMap { rule in
      let federation = try ToyFederation(
        makeMethod {
          $0.hypergradient = rule
          $0.privateRate = 0.5
        }, training: ToyFederation.plain)
      try await federation.run(0..<2)
      return federation.server.global
    }
    expectClose(ends[1], ends[0], absolute: 1e-4, relative: 1e-3)
    #expect(
      ends[2].contains { name, end in
        ends[0][name].map { ((end - $0).magnitude .> 1e-3).anyTrue } ?? false
      })
  }

  @Test func `4: without a lower rate it is FedIT with AdamW, and the private adapter rests`()
    async throws
  {
    let federation = try ToyFederation(
      makeMethod {
        $0.privateRate = 0
        $0.keepsMoments = false
      })
    let plain = try ToyFederation(FedIT(FedIT.Options()))
    try await federation.run(0..<3)
    try await plain.run(0..<3)
    #expect(federation.server.global.filtered(.all).isIdentical(to: plain.server.global))
    let initial = federation.trainers[0].initial.ofAdapter("personal")
    #expect(federation.trainers[0].trainables.ofAdapter("personal").isIdentical(to: initial))
  }

  @Test func `6: C and D are never sent, and rest while their client does`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<1)
    let kept = federation.personal(1)
    #expect(
      federation.updates[1]?.tensors.names
        == federation.trainers[1].initial.filtered(.all).names)
    try await federation.run(1..<3, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept))
  }

  @Test func `7: each client's change gets the rank of its own target`() async throws {
    // Targets W* + uₖvₖᵀ for one linear layer, with one common direction.
    var stream = RandomStream(seed: 9)
    func draw(_ shape: [Int]) -> Tensor { Tensor.normal(shape, stream: &stream) }
    let (common, own) = (matmul(draw([6, 1]), draw([1, 5])), matmul(draw([6, 1]), draw([1, 5])))
    let targets = [common, common + own]
    let inputs = draw([64, 5])
    var shared = NamedTensors(["a": draw([1, 5]) * 0.5, "b": .zeros([6, 1])])
    var ranks = [0, 0]
    var private2 = [0, 1].map { _ in
      [draw([1, 5]) * 0.5, Tensor.zeros([6, 1])].map { $0.requiringGradient() }
    }
    for _ in 0..<150 {
      var sent: [NamedTensors] = []
      for client in 0..<2 {
        let x = shared.mapValues { $0.requiringGradient() }
        let leaves = x.tensors
        let y = private2[client]
        let loss = {
          let output =
            matmul(matmul(inputs, leaves[0].matrixTransposed), leaves[1].matrixTransposed)
            + matmul(matmul(inputs, y[0].matrixTransposed), y[1].matrixTransposed)
          return (output - matmul(inputs, targets[client].matrixTransposed)).squared.mean()
        }
        var optimizer = try Adam(.adam)
        for _ in 0..<5 {
          let found = BilevelStep(rate: 0.1, rule: .doubleBackward)(
            upper: leaves, lower: y, lowerLoss: loss, upperLoss: loss)
          optimizer.step(leaves, gradients: found.gradients, learningRate: 0.02)
        }
        sent.append(x.copied())
        var sum = FactoredSum()
        sum.add(b: leaves[1], a: leaves[0], weight: 1)
        sum.add(b: y[1], a: y[0], weight: 1)
        ranks[client] = sum.numericalRank(relativeTo: 0.1)
        private2[client] = y
      }
      shared = combined([(0.5, sent[0]), (0.5, sent[1])]).mapValues { $0.to(.float32) }
    }
    #expect(ranks == [1, 2])
  }

  @Test func `8: one client is two-level training on one machine`() async throws {
    let method = makeMethod()
    let federation = try ToyFederation(
      method, trainers: ToyFederation.makeTrainers(for: method, clients: 1..<2))
    try await federation.run(0..<3)
    let alone = ToyFederation.makeTrainers(for: method, clients: 1..<2)[0]
    for index in 0..<3 {
      let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
      var work = LocalWork(
        training: ToyFederation.training, random: round.random(of: ClientID(index: 0, name: "")),
        selects: TensorRoles.all.contains(named:))
      work.rules.lowerLevel = .init(
        step: BilevelStep(rate: 0.05, rule: .doubleBackward),
        selects: { AdapterName.of($0) == "personal" }, sharesBatch: false)
      work.rules.optimizerState = alone.optimizerState
      _ = try await alone.train(work)
    }
    #expect(
      federation.server.global.filtered(.all).isIdentical(to: alone.trainables.filtered(.all)))
    #expect(!alone.trainables.ofAdapter("personal").isIdentical(to: alone.initial))
  }

  @Test func `a client reports the mean rank of its changes`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let rank = try #require(try await federation.evaluate(0)["rank"])
    #expect((1...3).contains(rank))
  }
}

extension Sequence {
  /// The results of `transform`, one after another.
  fileprivate func asyncMap<Result>(
    _ transform: (Element) async throws -> Result
  ) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}

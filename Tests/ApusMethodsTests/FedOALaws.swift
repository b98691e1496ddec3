import ApusBase
import ApusCore
import ApusTorch
import Foundation
import Testing

@testable import ApusMethods

private func makeMethod(_ change: (inout FedOA.Options) -> Void = { _ in }) -> FedOA {
  var options = FedOA.Options()
  change(&options)
  return FedOA(options)
}

private func drawnPair(_ rows: Int, seed: UInt64 = 1) -> (found: Tensor, reference: Tensor) {
  var stream = RandomStream(seed: seed)
  return (
    Tensor.normal([rows, 5], stream: &stream, dtype: .float64),
    Tensor.normal([rows, 5], stream: &stream, dtype: .float64)
  )
}

/// The properties of the method's card, by their numbers.
@Suite struct FedOALaws {
  @Test func `1: without the term personal adapters are trained alone`() async throws {
    let method = makeMethod { $0.weight = 0 }
    let federation = try ToyFederation(method)
    try await federation.run(0..<3)
    for client in 0..<3 {
      let alone = ToyFederation.makeTrainers(for: method)[client]
      try alone.load(AdapterMixture.only("personal", of: ["default", "personal"]))
      for index in 1..<3 {
        let round = Round(index: index, total: 10, root: RandomStream(seed: 3))
        _ = try await alone.train(
          LocalWork(
            training: ToyFederation.training,
            random: round.random(of: ClientID(index: client, name: "")).substream("personal"),
            selects: { AdapterName.of($0) == "personal" || $0 == "head.bias" }))
      }
      let kept = federation.personal(client)
      #expect(kept.isIdentical(to: alone.trainables.filtered { kept[$0] != nil }))
      #expect(kept.count == 5)
    }
  }

  @Test(arguments: [0, 0.5, 10])
  func `2: the global adapter goes the way of FedIT, whatever λ is`(weight: Double) async throws {
    let federation = try ToyFederation(makeMethod { $0.weight = weight })
    let plain = try ToyFederation(FedIT(FedIT.Options()))
    try await federation.run(0..<4)
    try await plain.run(0..<4)
    #expect(federation.server.global.filtered(.all).isIdentical(to: plain.server.global))
  }

  @Test(arguments: FedOA.Options.Distance.allCases)
  func `3: equal features have distance 0 and a gradient of 0`(
    distance: FedOA.Options.Distance
  ) throws {
    let (x, _) = drawnPair(4)
    let leaf = x.requiringGradient()
    let found = distance.between(leaf, x)
    #expect(abs(found.item) < 1e-12)
    let gradient = try #require(found.gradients(by: [leaf])[0])
    #expect(gradient.isFinite.allTrue)
    #expect((gradient.magnitude .<= 1e-12).allTrue)
    try Tensor.check()
  }

  @Test(arguments: FedOA.Options.Distance.allCases)
  func `4: the term's gradient is that of finite differences`(
    distance: FedOA.Options.Distance
  ) throws {
    let (x, reference) = drawnPair(3, seed: 2)
    let leaf = x.requiringGradient()
    let gradient = try #require(distance.between(leaf, reference).gradients(by: [leaf])[0])
    for place in [0, 7, 14] {
      let sides = [1e-6, -1e-6].map { step in
        var values = x.doubles
        values[place] += step
        return distance.between(Tensor(values, shape: x.shape), reference).item
      }
      #expect(abs((sides[0] - sides[1]) / 2e-6 - gradient.doubles[place]) < 1e-6)
    }
  }

  @Test func `4: the personal adapter feels the term, the global one has no gradient of it`()
    async throws
  {
    let (with, without) = (
      try ToyFederation(makeMethod { $0.weight = 5 }),
      try ToyFederation(makeMethod { $0.weight = 0 })
    )
    for federation in [with, without] { try await federation.run(0..<2) }
    #expect(!with.personal(0).isIdentical(to: without.personal(0)))
    #expect(
      with.trainers[0].phases[1]
        == with.trainers[0].initial.filtered {
          AdapterName.of($0) == "personal" || $0 == "head.bias"
        }.names)
  }

  @Test(arguments: [1, 4, 9])
  func `5: the distance of b equal rows is √b times that of one`(rows: Int) {
    let (x, reference) = drawnPair(1)
    let many = FedOA.Options.Distance.frobenius.between(
      x.expanded([rows, 5]), reference.expanded([rows, 5]))
    let one = FedOA.Options.Distance.frobenius.between(x, reference)
    #expect(abs(many.item - Double(rows).squareRoot() * one.item) < 1e-12)
  }

  @Test func `6: a small step on the term alone brings the features nearer`() async throws {
    let trainer = ToyFederation.makeTrainers(for: makeMethod())[0]
    try trainer.load(drawn(like: trainer.initial, seed: 3, deviation: 0.5))
    let global = AdapterMixture.only("default", of: ["default", "personal"])
    let personal = AdapterMixture.only("personal", of: ["default", "personal"])
    func distance() async throws -> Double {
      try trainer.load(global)
      let reference = try await trainer.features(of: .train)
      try trainer.load(personal)
      return FedOA.Options.Distance.frobenius.between(
        try await trainer.features(of: .train), reference
      ).item
    }
    let before = try await distance()
    var training = ToyFederation.plain
    (training.batchSize, training.localEpochs, training.learningRate) = (4, 1, 1e-3)
    var work = LocalWork(
      training: training, random: RandomStream(seed: 1),
      selects: { AdapterName.of($0) == "personal" })
    // The term weighs so much that the task's own gradient does not show.
    work.hooks = [
      Penalty { step in
        try step.view.map {
          FedOA.Options.Distance.frobenius.between(
            $0.features, try $0.features(under: global, dropping: false)) * 100
        }
      }
    ]
    _ = try await trainer.train(work)
    #expect(try await distance() < before)
  }

  @Test func `7: the first round trains no personal adapter, and none is ever sent`()
    async throws
  {
    let federation = try ToyFederation(makeMethod())
    for round in 0..<3 {
      try await federation.run(round..<(round + 1))
      let names = federation.trainers[0].initial.filtered(.all).names
      #expect(federation.updates.values.allSatisfy { $0.tensors.names == names })
      #expect(federation.personal(0).isEmpty == (round == 0))
    }
  }

  @Test func `8: a client that is not drawn keeps its personal model, bit for bit`() async throws {
    let federation = try ToyFederation(makeMethod())
    try await federation.run(0..<2)
    let kept = federation.personal(1)
    try await federation.run(2..<4, cohort: [0, 2])
    #expect(federation.personal(1).isIdentical(to: kept))
  }

  @Test func `a personal adapter can begin as a copy of the global one`() async throws {
    let federation = try ToyFederation(
      makeMethod { $0.startsFromGlobal = true }, training: ToyFederation.plain)
    try await federation.run(0..<1)
    let global = federation.server.global
    try await federation.run(1..<2, stepLimit: 1)
    var distances: [Double] = []
    for start in [global.renamed(toAdapter: "personal"), federation.trainers[0].initial] {
      distances.append(
        federation.personal(0).ofAdapter("personal").reduce(0) { sum, entry in
          sum + (start[entry.name].map { (entry.tensor - $0).norm().item } ?? 0)
        })
    }
    #expect(distances[0] < distances[1])
  }
}

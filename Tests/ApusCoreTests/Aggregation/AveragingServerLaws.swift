import ApusBase
import ApusCore
import ApusTorch
import Testing

private let client = ClientID(index: 0, name: "a")

private func round(_ index: Int) -> Round {
  Round(index: index, total: 10, root: RandomStream(seed: 1))
}

/// Values of one site and a head; those of different seeds differ in every tensor.
private func drawnTrainables(seed: UInt64) -> NamedTensors {
  var stream = RandomStream(seed: seed).substream("trainables")
  return NamedTensors([
    "q.lora_A.weight": drawn([2, 3], &stream), "q.lora_B.weight": drawn([4, 2], &stream),
    "head.bias": drawn([4], &stream),
  ])
}

/// A server that averages by turns; what it sends has nothing to do with what it gets.
private func makeServer(
  _ kind: ServerOptimizerConfiguration.Kind = .fedavg, rate: Double = 1
) -> AveragingServer {
  var aggregation = Aggregation()
  aggregation.server.kind = kind
  aggregation.server.learningRate = rate
  return AveragingServer(
    ServerSetting(
      initial: drawnTrainables(seed: 0), factorPairs: [], aggregation: aggregation),
    sends: [.a, .b], averages: { .alternating(in: $0) })
}

extension AveragingServer {
  /// Plays one round with these values, as far as they take part in it, each of weight 1.
  fileprivate mutating func play(_ index: Int, _ values: [NamedTensors]) throws {
    for value in values {
      let update = Message(tensors: value.filtered(.alternating(in: round(index))))
      try absorb(update, from: client, weight: 1, round: round(index))
    }
    _ = finish(round: round(index))
  }
}

@Suite struct AveragingServerLaws {
  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases)
  func `what does not move in a round keeps every bit, under any optimizer`(
    kind: ServerOptimizerConfiguration.Kind
  ) throws {
    var server = makeServer(kind, rate: 0.5)
    for index in 0..<6 {
      let before = server.global
      try server.play(index, [drawnTrainables(seed: 1), drawnTrainables(seed: 2)])
      let moving = TensorRoles.alternating(in: round(index))
      let rest = TensorRoles.all.subtracting(moving)
      #expect(server.global.filtered(rest).isIdentical(to: before.filtered(rest)))
      #expect(!server.global.filtered(moving).isIdentical(to: before.filtered(moving)))
    }
  }

  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases)
  func `each factor moves as if the other's rounds were not there`(
    kind: ServerOptimizerConfiguration.Kind
  ) throws {
    var (both, alone) = (makeServer(kind, rate: 0.5), makeServer(kind, rate: 0.5))
    for index in 0..<6 {
      let values = [drawnTrainables(seed: UInt64(index + 1))]
      try both.play(index, values)
      if index.isMultiple(of: 2) { try alone.play(index, values) }
    }
    #expect(both.global.filtered(.b).isIdentical(to: alone.global.filtered(.b)))
  }

  @Test func `the mean of what moves becomes the model`() throws {
    var server = makeServer()
    let values = [drawnTrainables(seed: 1), drawnTrainables(seed: 2)]
    try server.play(0, values)
    var mean = WeightedMean(like: values[0].filtered(.b))
    for value in values { try mean.absorb(value.filtered(.b), weight: 1, at: "here") }
    let expected = mean.finish()
    #expect(server.global.filtered(.b).isIdentical(to: try #require(expected)))
  }

  @Test func `an update with too many or too few tensors is refused`() throws {
    var server = makeServer()
    let values = drawnTrainables(seed: 1)
    for roles in [TensorRoles.a, .all, [.b, .head], []] {
      let error = #expect(throws: ApusError.self) {
        try server.absorb(
          Message(tensors: values.filtered(roles)), from: client, weight: 1, round: round(0))
      }
      #expect(error?.code == .shapeMismatch)
    }
  }

  @Test func `a refused first update does not tie the server to its round`() throws {
    var server = makeServer()
    let values = drawnTrainables(seed: 1)
    #expect(throws: ApusError.self) {
      try server.absorb(Message(tensors: values), from: client, weight: 1, round: round(0))
    }
    try server.play(1, [values])
    #expect(server.global.filtered(.a).isIdentical(to: values.filtered(.a)))
  }

  @Test func `a brief holds what is sent, and a round without weight changes nothing`() throws {
    var server = makeServer()
    #expect(
      server.brief(for: client, round: round(0)).tensors.names
        == ["q.lora_A.weight", "q.lora_B.weight"])
    let before = server.global
    #expect(server.finish(round: round(0)).isEmpty)
    try server.absorb(
      Message(tensors: drawnTrainables(seed: 1).filtered(.b)), from: client, weight: 0,
      round: round(0))
    #expect(server.finish(round: round(0)).isEmpty)
    #expect(server.global.isIdentical(to: before))
  }
}

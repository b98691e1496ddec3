import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct LocalTrainingLaws {
  @Test func `an error names the setting as a file writes it`() {
    for (setting, spoil) in [
      ("local-epochs", { $0.localEpochs = 0 }), ("batch-size", { $0.batchSize = 0 }),
      ("learning-rate", { $0.learningRate = .infinity }),
      ("learning-rate", { $0.learningRate = 0 }), ("warmup-share", { $0.warmupShare = 1.1 }),
      ("clip-norm", { $0.clipNorm = .nan }), ("proximal", { $0.proximal = -1 }),
      ("optimizer.beta1", { $0.optimizer.beta1 = 1 }),
      ("optimizer.epsilon", { $0.optimizer.epsilon = -1 }),
      ("optimizer.weight-decay", { $0.optimizer.weightDecay = -1 }),
    ] as [(String, (inout LocalTraining) -> Void)] {
      var training = LocalTraining()
      spoil(&training)
      let error = #expect(throws: ApusError.self) { try training.validate() }
      #expect(error?.location == setting)
      #expect(error?.code == .invalidConfig)
      #expect(error?.remedy.contains("weightDecay") == false)
    }
  }

  @Test func `schedules rise over the warm-up's share and fall as their name says`() throws {
    var training = LocalTraining()
    #expect(try training.makeSchedule().factor(step: 7, of: 8) == 1)
    training.warmupShare = 0.5
    #expect(try training.makeSchedule().factor(step: 1, of: 4) == 0.5)
    training.schedule = .linear
    #expect(try training.makeSchedule().factor(step: 3, of: 4) == 0.5)
    training.schedule = .cosine
    #expect(abs(try training.makeSchedule().factor(step: 3, of: 4) - 0.5) < 1e-12)
    #expect(try training.makeSchedule().factor(step: 4, of: 4) < 1e-12)
  }

  @Test(arguments: OptimizerOptions.Kind.allCases)
  func `an optimizer follows its options`(kind: OptimizerOptions.Kind) throws {
    var options = OptimizerOptions()
    options.kind = kind
    options.weightDecay = 0.1
    func moved(_ gradient: Double) throws -> Double {
      var optimizer = try options.configuration.makeOptimizer()
      let parameter = Tensor.full([1], 1)
      optimizer.step([parameter], gradients: [.full([1], gradient)], learningRate: 0.5)
      return parameter.item
    }
    // With a gradient of 0 only the decay is left: θ − η·λ·θ, or Adam's step of η by its sign.
    #expect(abs(try moved(0) - (kind == .adam ? 0.5 : 0.95)) < 1e-5)
    #expect(try moved(1) < 1)
    try Tensor.check()
  }

  @Test func `SGD's momentum and look-ahead reach it`() throws {
    var options = OptimizerOptions()
    (options.kind, options.momentum) = (.sgd, 0.5)
    for (nesterov, expected) in [(false, -2.5), (true, -3.25)] {
      options.nesterov = nesterov
      var optimizer = try options.configuration.makeOptimizer()
      let parameter = Tensor.zeros([1])
      for _ in 0..<2 { optimizer.step([parameter], gradients: [.ones([1])], learningRate: 1) }
      #expect(parameter.item == expected)
    }
  }
}

@Suite struct RoundLaws {
  @Test func `every client of every round has a stream of its own`() {
    let root = RandomStream(seed: 1)
    let clients = (0..<20).map { ClientID(index: $0, name: "client \($0)") }
    var streams: [RandomStream] = []
    for index in 0..<10 {
      let round = Round(index: index, total: 10, root: root)
      streams += [round.random] + clients.map { round.random(of: $0) }
    }
    #expect(Set(streams).count == streams.count)
    #expect(
      Round(index: 3, total: 10, root: root).random(of: clients[4])
        == Round(index: 3, total: 99, root: root).random(of: ClientID(index: 4, name: "other")))
  }

  @Test func `clients are ordered by their place`() {
    let clients = [2, 0, 1].map { ClientID(index: $0, name: "\(9 - $0)") }
    #expect(clients.sorted().map(\.index) == [0, 1, 2])
    #expect("\(clients[0])" == "7")
  }
}

/// A client half that keeps nothing.
private struct Forgetful: ClientHalf {
  func train(on brief: Message, round: Round) async throws -> Message { brief }
  func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics { [:] }
}

@Suite struct ClientHalfLaws {
  @Test func `a half that keeps nothing refuses another method's state`() throws {
    var half = Forgetful()
    #expect(half.snapshot.isEmpty)
    try half.restore(Snapshot())
    let error = #expect(throws: ApusError.self) {
      try half.restore(Snapshot(tensors: NamedTensors(["x": .ones([1])])))
    }
    #expect(error?.code == .runState)
  }

  @Test func `an update tells its rows, steps and loss, a brief its bound`() throws {
    let outcome = TrainingOutcome(steps: 3, meanLoss: 0.5, rows: 8, tokens: 0)
    let update = Message(tensors: NamedTensors(), sampleCount: 4, outcome: outcome)
    let received = try Message(encoded: update.encoded(), at: "here")
    #expect(received.sampleCount == 4)
    #expect(received.fields["steps"]?.int == 3)
    #expect(received.fields["loss"]?.double == 0.5)
    #expect(received.stepLimit == nil)
    #expect(Message(fields: [Message.stepLimitKey: .int(7)]).stepLimit == 7)
  }
}

import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Options of the cases in make_optimizers.py, with their learning rates.
private let cases: [(name: String, rate: Double, configuration: OptimizerConfiguration)] = {
  var momentum = SGD.Options()
  (momentum.momentum, momentum.weightDecay) = (0.9, 0.05)
  var nesterov = SGD.Options()
  (nesterov.momentum, nesterov.nesterov) = (0.8, true)
  var adam = Adam.Options.adam
  (adam.beta1, adam.beta2, adam.epsilon, adam.weightDecay) = (0.8, 0.95, 1e-6, 0.1)
  var adamW = Adam.Options.adamW
  (adamW.beta2, adamW.weightDecay) = (0.98, 0.3)
  var warmup = Adafactor.Options()
  (warmup.rate, warmup.beta1) = (.relativeWithWarmup, 0.9)
  var given = Adafactor.Options()
  (given.rate, given.scaleParameter, given.weightDecay) = (.given, false, 0.1)
  (given.beta1, given.decayRate, given.clipThreshold) = (0.8, -0.7, 0.5)
  var scaled = Adafactor.Options()
  scaled.rate = .given
  return [
    ("sgd", 0.1, .sgd(SGD.Options())), ("sgd.momentum", 0.1, .sgd(momentum)),
    ("sgd.nesterov", 0.1, .sgd(nesterov)), ("adam", 0.01, .adam(.adam)),
    ("adam.decay", 0.01, .adam(adam)), ("adamw", 0.01, .adamW),
    ("adamw.decay", 0.01, .adam(adamW)), ("adafactor", 0, .adafactor(Adafactor.Options())),
    ("adafactor.warmup", 0, .adafactor(warmup)), ("adafactor.given", 0.01, .adafactor(given)),
    ("adafactor.scaled", 0.01, .adafactor(scaled)),
  ]
}()

/// The stored parameters on their way through the 20 stored gradients.
private struct Course {
  let file: SafetensorsFile
  let parameters: [Tensor]

  init() throws {
    let file = try SafetensorsFile(contentsOf: fixtures.appending(path: "optimizers.safetensors"))
    self.file = file
    parameters = try (0..<3).map {
      try file.tensor("initial.\($0)").cloned().requiringGradient()
    }
  }

  func run(_ steps: Range<Int>, rate: Double, _ optimizer: inout any Optimizer) throws {
    for step in steps {
      let gradients: [Tensor?] = try (0..<3).map {
        $0 == 1 && step % 4 == 3 ? nil : try file.tensor("gradients.\($0)")[step]
      }
      optimizer.step(
        parameters, gradients: gradients, learningRate: rate * (1 - Double(step) / 40))
    }
    try Tensor.check()
  }
}

@Suite struct OptimizerLaws {
  @Test(arguments: cases.indices)
  func `20 steps end where PyTorch and transformers end`(index: Int) throws {
    let (name, rate, configuration) = cases[index]
    var optimizer = try configuration.makeOptimizer()
    let course = try Course()
    try course.run(0..<20, rate: rate, &optimizer)
    for (index, parameter) in course.parameters.enumerated() {
      expectClose(
        parameter, try course.file.tensor("\(name)/\(index)"), absolute: 2e-7, relative: 1e-6,
        "\(name), parameter \(index)")
    }
    let state = optimizer.state
    var compared = 0
    for key in course.file.names where key.hasPrefix("\(name)/") {
      let field = String(key.dropFirst(name.count + 1))
      guard field.contains(".") else { continue }
      let found = try #require(state[field], "\(key)")
      expectClose(found, try course.file.tensor(key), absolute: 1e-7, relative: 2e-6, key)
      compared += 1
    }
    #expect(state.count == compared + 3)
    #expect(state["0.step"]?.intItem == 20)
    #expect(state["1.step"]?.intItem == 15)
  }

  @Test(arguments: cases.indices)
  func `stopping, saving and going on changes no bit`(index: Int) throws {
    let (_, rate, configuration) = cases[index]
    var undisturbed = try configuration.makeOptimizer()
    let whole = try Course()
    try whole.run(0..<20, rate: rate, &undisturbed)

    var first = try configuration.makeOptimizer()
    let halves = try Course()
    try halves.run(0..<7, rate: rate, &first)
    let saved = try Safetensors.encode(first.state.map { ($0.key, $0.value) })
    let file = try SafetensorsFile(decoding: saved, name: "state")
    var second = try configuration.makeOptimizer()
    try second.restore(
      Dictionary(uniqueKeysWithValues: file.names.map { ($0, try file.tensor($0)) }))
    try halves.run(7..<20, rate: rate, &second)
    for (a, b) in zip(whole.parameters, halves.parameters) { #expect(a.isIdentical(to: b)) }
    #expect(undisturbed.state.keys.sorted() == second.state.keys.sorted())
    for (name, tensor) in undisturbed.state {
      #expect(second.state[name]?.isIdentical(to: tensor) == true, "\(name)")
    }
  }

  @Test(arguments: cases.indices)
  func `a copy and a saved state do not see later steps`(index: Int) throws {
    let (_, rate, configuration) = cases[index]
    var original = try configuration.makeOptimizer()
    try Course().run(0..<2, rate: rate, &original)
    let (copy, saved) = (original, original.state)
    let bits = saved.mapValues { $0.cloned() }
    try Course().run(2..<5, rate: rate, &original)
    for (name, tensor) in bits {
      #expect(saved[name]?.isIdentical(to: tensor) == true)
      #expect(copy.state[name]?.isIdentical(to: tensor) == true)
    }
    #expect(original.state["0.step"]?.intItem == 5)
  }

  @Test(arguments: cases.indices)
  func `a parameter without a gradient keeps every bit and takes no step`(index: Int) throws {
    var optimizer = try cases[index].configuration.makeOptimizer()
    let parameters = [Tensor.ones([2, 2]).requiringGradient(), Tensor.ones([3])]
    optimizer.step(parameters, gradients: [nil, Tensor.ones([3])], learningRate: 0.5)
    #expect(parameters[0].isIdentical(to: Tensor.ones([2, 2])))
    #expect(!parameters[1].isIdentical(to: Tensor.ones([3])))
    #expect(optimizer.state.keys.allSatisfy { $0.hasPrefix("1.") })
  }

  @Test(arguments: cases.indices)
  func `a gradient of another shape is a failure and moves nothing`(index: Int) throws {
    var optimizer = try cases[index].configuration.makeOptimizer()
    let parameter = Tensor.ones([2, 2])
    optimizer.step([parameter], gradients: [Tensor.ones([2])], learningRate: 1)
    let error = #expect(throws: ApusError.self) { try Tensor.check("step 1") }
    #expect(error?.problem.contains("[2, 2]") == true)
    #expect(parameter.isIdentical(to: Tensor.ones([2, 2])))
  }

  @Test(arguments: [
    ["0.exp_avg": Tensor.ones([1])], ["0.step": Tensor([1], shape: [])],
    ["step": Tensor([1], shape: [])], ["x.step": Tensor([1], shape: [])],
    ["0.step": Tensor.ones([]), "0.exp_avg": .ones([1]), "0.exp_avg_sq": .ones([1])],
    ["0.step": Tensor([1], shape: []), "0.momentum_buffer": .ones([1])],
  ])
  func `a state of another optimizer is refused and the old one kept`(
    state: [String: Tensor]
  ) throws {
    var optimizer = try OptimizerConfiguration.adamW.makeOptimizer()
    optimizer.step([Tensor.ones([1])], gradients: [Tensor.ones([1])], learningRate: 1)
    let error = #expect(throws: ApusError.self) { try optimizer.restore(state) }
    #expect(error?.code == .checkpointMismatch)
    #expect(optimizer.state.count == 3)
  }
}

@Suite struct OptimizerConfigurationLaws {
  @Test func `options out of range are named`() {
    var sgd = SGD.Options()
    sgd.nesterov = true
    var adam = Adam.Options.adamW
    adam.beta2 = 1
    var adafactor = Adafactor.Options()
    adafactor.clipThreshold = .nan
    for (configuration, option) in [
      (OptimizerConfiguration.sgd(sgd), "momentum"), (.adam(adam), "beta2"),
      (.adafactor(adafactor), "clipThreshold"),
    ] {
      let error = #expect(throws: ApusError.self) { try configuration.makeOptimizer() }
      #expect(error?.location.contains(option) == true)
    }
  }
}

import ApusBase
import ApusCore
import ApusTorch
import Testing

/// A hook that does what closures say, and notes what was called.
private final class Probe: StepHook {
  var calls: [String] = []
  var added: (LocalStep) -> Tensor? = { _ in nil }
  var masked: (LocalStep) -> [String: StepMask] = { _ in [:] }
  var gradients: [NamedTensors] = []

  func begin(_ phase: LocalPhase) { calls.append("begin") }
  func beforeStep(_ step: LocalStep) { calls.append("before \(step.index)") }
  func penalty(_ step: LocalStep) -> Tensor? {
    calls.append("penalty")
    return added(step)
  }
  func masks(_ step: LocalStep) -> [String: StepMask] {
    calls.append("masks")
    return masked(step)
  }
  func afterStep(_ step: LocalStep, gradients: NamedTensors) {
    calls.append("after \(step.index)")
    self.gradients.append(gradients)
  }
  func end(_ phase: LocalPhase) { calls.append("end") }
}

/// Laws of the optimizer steps, on ½‖x − 1‖² + ½‖y − 1‖² from zero.
@Suite struct StepperLaws {
  private let x = Tensor.zeros([2, 2]).requiringGradient()
  private let y = Tensor.zeros([3]).requiringGradient()

  private func training(_ change: (inout LocalTraining) -> Void = { _ in }) -> LocalTraining {
    var training = LocalTraining()
    training.optimizer.kind = .sgd
    change(&training)
    return training
  }

  /// Losses of so many steps at η = 0.5.
  @discardableResult
  private func run(
    _ hooks: [any StepHook], _ training: LocalTraining, steps: Int = 2,
    rules: StepRules = StepRules()
  ) throws -> [Double] {
    let phase = LocalPhase(
      trainables: [("x", x), ("y", y)], stepCount: steps, fullStepCount: steps, round: nil)
    var stepper = try Stepper(phase, hooks: hooks, training, rules: rules)
    try stepper.begin()
    defer { stepper.end() }
    var losses: [Double] = []
    for index in 0..<steps {
      let step = LocalStep(phase, index: index, random: RandomStream(seed: 1))
      losses.append(
        try stepper.step(step, learningRate: 0.5) {
          (((x - 1).squared.sum() + (y - 1).squared.sum()) / 2, nil)
        })
    }
    return losses
  }

  @Test func `every step asks all hooks in order`() throws {
    let probe = Probe()
    try run([probe], training())
    let step = { (index: Int) in ["before \(index)", "penalty", "masks", "after \(index)"] }
    #expect(probe.calls == ["begin"] + step(0) + step(1) + ["end"])
    #expect(x.floats == [0.75, 0.75, 0.75, 0.75])
  }

  @Test func `a penalty moves the tensors, and is not in the loss that is reported`() throws {
    let probe = Probe()
    probe.added = { [x] _ in x.sum() * 3 }
    let losses = try run([probe], training(), steps: 1)
    #expect(losses == [3.5])
    #expect(x.floats == [-1, -1, -1, -1])
    #expect(y.floats == [0.5, 0.5, 0.5])
  }

  @Test(arguments: [StepMask.Extent.gradient, .update])
  func `a mask keeps gradients away, and the update too if it says so`(
    extent: StepMask.Extent
  ) throws {
    x.fillInPlace(3)
    let probe = Probe()
    probe.masked = { _ in ["x": StepMask(Tensor([1.0, 0], shape: [1, 2]), extent)] }
    try run(
      [probe],
      training {
        $0.optimizer.kind = .adamw
        $0.optimizer.weightDecay = 0.1
      })
    let values = x.floats
    #expect(values[0] != 3 && values[2] == values[0])
    #expect((values[1] == 3) == (extent == .update))
    #expect(probe.gradients.allSatisfy { $0["x"]?.floats[1] == 0 })
    #expect(probe.gradients[0]["x"]?.floats[0] == 2)
  }

  @Test func `masks of two hooks leave what both allow`() throws {
    let (one, two) = (Probe(), Probe())
    one.masked = { _ in ["x": StepMask(Tensor([1.0, 0], shape: [1, 2]), .update)] }
    two.masked = { _ in ["x": StepMask(Tensor([1.0, 0], shape: [2, 1]), .update)] }
    try run([one, two], training(), steps: 1)
    #expect(x.floats == [0.5, 0, 0, 0])
    #expect(y.floats == [0.5, 0.5, 0.5])
  }

  @Test func `clipping sees what masks leave`() throws {
    let probe = Probe()
    probe.masked = { [x, y] _ in
      ["x": StepMask(x.zerosLike, .gradient), "y": StepMask(y.onesLike, .gradient)]
    }
    try run([probe], training { $0.clipNorm = 1 }, steps: 1)
    let gradient = try #require(probe.gradients[0]["y"])
    #expect(abs(gradient.norm().item - 1) < 1e-5)
    #expect(probe.gradients[0]["x"]?.norm().item == 0)
  }

  @Test func `the proximal term pulls back by μ times the way from the start`() throws {
    x.fillInPlace(2)
    try run([], training { $0.proximal = 0.2 })
    // 2 → 1.5 → 1.5 − 0.5·(0.5 + 0.2·(1.5 − 2)) = 1.3
    for value in x.floats { #expect(abs(value - 1.3) < 1e-6) }
    // 0 → 0.5 → 0.5 − 0.5·(−0.5 + 0.2·0.5) = 0.7
    for value in y.floats { #expect(abs(value - 0.7) < 1e-6) }
  }

  @Test func `a factor on the rate and an exception from clipping act on the tensors they name`()
    throws
  {
    var rules = StepRules()
    rules.rateFactor = { $0 == "y" ? 0.5 : 1 }
    rules.clips = { $0 == "x" }
    try run([], training { $0.clipNorm = 1 }, steps: 1, rules: rules)
    // The gradient of x has norm 2 and is halved; that of y is as it was.
    for value in x.floats { #expect(abs(value - 0.25) < 1e-5) }
    #expect(y.floats == [0.25, 0.25, 0.25])
  }

  @Test func `masks and penalties that stay the same need no hook of their own`() throws {
    let masks = FixedMasks(NamedTensors(["x": Tensor([1, 0] as [Float], shape: [1, 2])]))
    let pull = Penalty { step in step.phase.leaf("y").map { $0.sum() * -1 } }
    #expect(try run([masks, pull], training(), steps: 1) == [3.5])
    #expect(x.floats == [0.5, 0, 0.5, 0])
    #expect(y.floats == [1, 1, 1])
  }

  @Test func `an optimizer goes on from its state as if there had been no pause`() throws {
    let adam = training { $0.optimizer.kind = .adamw }
    let phase = LocalPhase(
      trainables: [("x", x), ("y", y)], stepCount: 4, fullStepCount: 4, round: nil)
    func steps(_ count: Int, from state: NamedTensors) throws -> NamedTensors {
      var rules = StepRules()
      rules.rateFactor = { $0 == "y" ? 0.5 : 1 }
      rules.optimizerState = state
      var stepper = try Stepper(phase, hooks: [], adam, rules: rules)
      for index in 0..<count {
        _ = try stepper.step(
          LocalStep(phase, index: index, random: RandomStream(seed: 1)), learningRate: 0.1
        ) { ((x.squared + x * 3).sum() + (y.squared - y).sum(), nil) }
      }
      return stepper.optimizerState
    }
    _ = try steps(4, from: NamedTensors())
    let (straight, other) = (x.detached().cloned(), y.detached().cloned())
    x.fillInPlace(0)
    y.fillInPlace(0)
    _ = try steps(2, from: steps(2, from: NamedTensors()))
    #expect(x.detached().isIdentical(to: straight))
    #expect(y.detached().isIdentical(to: other))
  }

  @Test func `the run counts full rounds, also those in which a client did less`() {
    let root = RandomStream(seed: 1)
    let phase = LocalPhase(
      trainables: [], stepCount: 2, fullStepCount: 5, round: Round(index: 3, total: 10, root: root))
    #expect(phase.runStepCount == 50)
    #expect(LocalStep(phase, index: 1, random: root).runIndex == 16)
    let alone = LocalPhase(trainables: [], stepCount: 2, fullStepCount: 5, round: nil)
    #expect(alone.runStepCount == nil)
  }
}

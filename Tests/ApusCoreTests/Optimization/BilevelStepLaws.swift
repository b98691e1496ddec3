import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// A small non-linear f(x, y; batch) in float64: two layers whose weights mix x and y.
private struct Problem {
  let x: Tensor
  let y: Tensor
  let batches: [(inputs: Tensor, targets: Tensor)]

  init(seed: UInt64) {
    var stream = RandomStream(seed: seed).substream("bilevel")
    x = drawn([3, 4], &stream, dtype: .float64).requiringGradient()
    y = drawn([2, 3], &stream, dtype: .float64).requiringGradient()
    batches = (0..<2).map { _ in
      (drawn([6, 4], &stream, dtype: .float64), drawn([6, 2], &stream, dtype: .float64))
    }
  }

  func loss(_ batch: Int, x: Tensor? = nil, y: Tensor? = nil) -> Tensor {
    let (inputs, targets) = batches[batch]
    let output = linear(tanh(linear(inputs, weight: x ?? self.x)), weight: y ?? self.y)
    return (output - targets).squared.mean()
  }

  /// x ↦ f(x, y − α·∇_y f(x, y; π); ξ), by hand.
  func answered(_ x: Tensor, rate: Double) -> Double {
    let leaf = y.detached().cloned().requiringGradient()
    let gradient = loss(0, x: x, y: leaf).gradients(by: [leaf])[0] ?? leaf
    return loss(1, x: x, y: leaf.detached() - gradient * rate).item
  }

  func hypergradient(_ rule: HypergradientRule, rate: Double) -> (gradient: Tensor?, loss: Tensor) {
    let found = BilevelStep(rate: rate, rule: rule)(
      upper: [x], lower: [y], lowerLoss: { loss(0) }, upperLoss: { loss(1) })
    return (found.gradients[0], found.loss)
  }
}

@Suite struct BilevelStepLaws {
  @Test(arguments: UInt64(0)..<5)
  func `both second-order rules agree with finite differences`(seed: UInt64) throws {
    let (rate, step) = (0.3, 1e-6)
    let problem = Problem(seed: seed)
    var numeric: [Double] = []
    for place in 0..<problem.x.count {
      var sides: [Double] = []
      for sign in [1.0, -1.0] {
        var values = problem.x.doubles
        values[place] += sign * step
        sides.append(
          problem.answered(Tensor(values, shape: problem.x.shape), rate: rate))
      }
      numeric.append((sides[0] - sides[1]) / (2 * step))
    }
    let expected = Tensor(numeric, shape: problem.x.shape)
    for rule in [HypergradientRule.doubleBackward, .centralDifference] {
      let found = try #require(Problem(seed: seed).hypergradient(rule, rate: rate).gradient)
      expectClose(found, expected, absolute: 1e-6, relative: 1e-3, rule.rawValue)
    }
    let blunt = try #require(Problem(seed: seed).hypergradient(.firstOrder, rate: rate).gradient)
    #expect((blunt - expected).norm().item > 1e-3 * expected.norm().item)
    try Tensor.check()
  }

  @Test(arguments: HypergradientRule.allCases)
  func `the lower level takes one plain step, and the upper one stays`(
    rule: HypergradientRule
  ) throws {
    let problem = Problem(seed: 7)
    let (x, y) = (problem.x.detached().cloned(), problem.y.detached().cloned())
    let gradient = try #require(problem.loss(0).gradients(by: [problem.y])[0])
    let found = problem.hypergradient(rule, rate: 0.1)
    #expect(problem.x.detached().isIdentical(to: x))
    expectClose(problem.y.detached(), y - gradient * 0.1, absolute: 1e-15, relative: 1e-15)
    #expect(found.loss.item == problem.loss(1).item)
    try Tensor.check()
  }

  @Test(arguments: HypergradientRule.allCases)
  func `a rate of 0 gives the plain gradient, and y keeps every bit`(
    rule: HypergradientRule
  ) throws {
    let problem = Problem(seed: 8)
    let y = problem.y.detached().cloned()
    let plain = try #require(problem.loss(1).gradients(by: [problem.x])[0])
    let found = try #require(problem.hypergradient(rule, rate: 0).gradient)
    #expect(found.isIdentical(to: plain))
    #expect(problem.y.detached().isIdentical(to: y))
  }

  @Test(arguments: [0.1, 0.5, 0.9])
  func `on half a squared distance the hypergradient is (1 − α)² of the gap`(rate: Double) throws {
    var stream = RandomStream(seed: 9)
    let x = drawn([4], &stream, dtype: .float64).requiringGradient()
    let y = drawn([4], &stream, dtype: .float64).requiringGradient()
    let target = drawn([4], &stream, dtype: .float64)
    let gap = (x + y - target).detached()
    let loss = { (x + y - target).squared.sum() * 0.5 }
    let found = BilevelStep(rate: rate, rule: .doubleBackward)(
      upper: [x], lower: [y], lowerLoss: loss, upperLoss: loss)
    expectClose(
      try #require(found.gradients[0]), gap * ((1 - rate) * (1 - rate)), absolute: 1e-12,
      relative: 1e-12)
  }

  @Test func `a lower level that the loss ignores changes nothing`() throws {
    let problem = Problem(seed: 10)
    let idle = Tensor.ones([2], dtype: .float64).requiringGradient()
    let plain = try #require(problem.loss(1).gradients(by: [problem.x])[0])
    for rule in HypergradientRule.allCases {
      let found = BilevelStep(rate: 0.1, rule: rule)(
        upper: [problem.x], lower: [idle], lowerLoss: { problem.loss(0) },
        upperLoss: { problem.loss(1) })
      #expect(found.gradients[0]?.isIdentical(to: plain) == true)
    }
    #expect(idle.doubles == [1, 1])
    try Tensor.check()
  }
}

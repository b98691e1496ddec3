import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

private typealias Kind = ServerOptimizerConfiguration.Kind

private func configuration(
  _ kind: Kind, _ change: (inout ServerOptimizerConfiguration) -> Void = { _ in }
) -> ServerOptimizerConfiguration {
  var configuration = ServerOptimizerConfiguration()
  configuration.kind = kind
  change(&configuration)
  return configuration
}

/// One number under the rules of Algorithm 2, written out once more in float64.
private struct Reference {
  let rule: ServerOptimizerConfiguration
  var m = 0.0
  var v: Double

  init(_ rule: ServerOptimizerConfiguration) {
    self.rule = rule
    v = rule.tau * rule.tau
  }

  mutating func step(_ delta: Double) -> Double {
    let square = delta * delta
    switch rule.kind {
    case .fedavg: return rule.learningRate * delta
    case .fedavgm:
      m = rule.momentum * m + delta
      return rule.learningRate * m
    case .fedadagrad: v += square
    case .fedadam: v = rule.beta2 * v + (1 - rule.beta2) * square
    case .fedyogi:
      let sign = v == square ? 0.0 : v > square ? 1 : -1
      v -= (1 - rule.beta2) * square * sign
    }
    m = rule.beta1 * m + (1 - rule.beta1) * delta
    return rule.learningRate * m / (v.squareRoot() + rule.tau)
  }
}

@Suite struct ServerOptimizerLaws {
  @Test(arguments: 0..<10 as Range<UInt64>)
  func `FedAvg with rate 1 takes the mean itself, bit for bit`(seed: UInt64) {
    let updates = drawnUpdates(2, seed: seed)
    var optimizer = ServerOptimizer(configuration(.fedavg))
    #expect(optimizer.step(updates[0], towards: updates[1]).isIdentical(to: updates[1]))
    #expect(optimizer.state.isEmpty)
  }

  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases, 0..<5 as Range<UInt64>)
  func `steps are those of the paper's algorithm`(
    kind: ServerOptimizerConfiguration.Kind, seed: UInt64
  ) throws {
    let rule = configuration(kind) { $0.learningRate = 0.1 }
    var stream = RandomStream(seed: seed)
    var optimizer = ServerOptimizer(rule)
    var references = [Reference](repeating: Reference(rule), count: 4)
    var global = NamedTensors(["x": drawn([4], &stream)])
    for _ in 0..<6 {
      let start = try #require(global["x"])
      let mean = drawn([4], &stream) * 0.01
      global = optimizer.step(global, towards: NamedTensors(["x": mean]))
      let expected = zip(start.doubles, mean.doubles).enumerated().map { index, pair in
        pair.0 + references[index].step(pair.1 - pair.0)
      }
      expectClose(
        try #require(global["x"]), Tensor(expected, shape: [4]), absolute: 1e-6, relative: 1e-5)
    }
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `FedAdam without memory steps by η·Δ̄ / (|Δ̄| + τ)`(seed: UInt64) throws {
    let rule = configuration(.fedadam) {
      ($0.beta1, $0.beta2, $0.learningRate, $0.tau) = (0, 0, 0.3, 0.05)
    }
    var stream = RandomStream(seed: seed)
    let (global, mean) = (drawn([6], &stream), drawn([6], &stream))
    var optimizer = ServerOptimizer(rule)
    for _ in 0..<2 {
      let moved = optimizer.step(
        NamedTensors(["x": global]), towards: NamedTensors(["x": mean]))
      let delta = (mean - global).to(.float64)
      let expected = global.to(.float64) + delta / (delta.magnitude + 0.05) * 0.3
      expectClose(try #require(moved["x"]), expected, absolute: 1e-6, relative: 1e-5)
    }
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `FedYogi's v never falls below 0 and moves by (1 − β2)·Δ̄²`(seed: UInt64) throws {
    var stream = RandomStream(seed: seed)
    var optimizer = ServerOptimizer(configuration(.fedyogi))
    var v = Tensor.full([8], 1e-6)
    let global = Tensor.zeros([8])
    for _ in 0..<30 {
      // Changes of all sizes, so that v rises and falls.
      let delta = drawn([8], &stream) * exp(drawn([8], &stream) * 3)
      _ = optimizer.step(NamedTensors(["x": global]), towards: NamedTensors(["x": delta]))
      let next = try #require(optimizer.state["v/x"])
      #expect((next .>= 0).allTrue)
      // A float32 difference is exact to the last bit of the larger of the two.
      let slack = maximum(v, next) * 2.4e-7
      let moved = (next - v).magnitude
      #expect(((moved - delta.squared * 0.01).magnitude .<= slack + delta.squared * 1e-6).allTrue)
      v = next
    }
  }

  @Test func `FedYogi leaves v alone where it equals Δ̄²`() throws {
    let rule = configuration(.fedyogi) { $0.tau = 0.5 }
    var optimizer = ServerOptimizer(rule)
    _ = optimizer.step(vector([0, 0]), towards: vector([0.5, -0.5]))
    #expect(optimizer.state["v/x"]?.floats == [0.25, 0.25])
  }

  @Test func `FedAvgM by hand`() {
    var optimizer = ServerOptimizer(
      configuration(.fedavgm) { ($0.momentum, $0.learningRate) = (0.5, 1) })
    let first = optimizer.step(vector([1]), towards: vector([3]))  // m = 2
    #expect(first["x"]?.floats == [3])
    let second = optimizer.step(first, towards: vector([4]))  // m = 0.5·2 + 1 = 2
    #expect(second["x"]?.floats == [5])
    #expect(optimizer.state["m/x"]?.floats == [2])
  }

  @Test func `FedAdagrad by hand`() throws {
    var optimizer = ServerOptimizer(
      configuration(.fedadagrad) { ($0.beta1, $0.tau, $0.learningRate) = (0, 1, 1) })
    let first = optimizer.step(vector([0]), towards: vector([3]))
    // v = 1 + 9, step 3 / (√10 + 1)
    #expect(abs(try #require(first["x"]).item - 3 / (10.0.squareRoot() + 1)) < 1e-6)
    #expect(optimizer.state["v/x"]?.floats == [10])
  }

  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases)
  func `a restored rule goes on with the same bits`(
    kind: ServerOptimizerConfiguration.Kind
  ) throws {
    let rule = configuration(kind) { $0.learningRate = 0.3 }
    let updates = drawnUpdates(7, seed: 11)
    var optimizer = ServerOptimizer(rule)
    var global = updates[0]
    for update in updates[1...3] { global = optimizer.step(global, towards: update) }
    let bytes = try Snapshot(tensors: optimizer.state).encoded()
    var restored = ServerOptimizer(rule)
    restored.restore(try Snapshot(encoded: bytes, at: "here").tensors)
    var other = global
    for update in updates[4...6] {
      global = optimizer.step(global, towards: update)
      other = restored.step(other, towards: update)
      #expect(other.isIdentical(to: global))
      #expect(restored.state.isIdentical(to: optimizer.state))
    }
  }

  @Test(arguments: ServerOptimizerConfiguration.Kind.allCases)
  func `a tensor of a new shape starts without a past, the others keep theirs`(
    kind: ServerOptimizerConfiguration.Kind
  ) throws {
    let rule = configuration(kind) { $0.learningRate = 0.3 }
    let updates = drawnUpdates(3, seed: 5)
    var old = ServerOptimizer(rule)
    _ = old.step(updates[0], towards: updates[1])
    var (same, fresh) = (old, ServerOptimizer(rule))
    var (before, mean) = (updates[1], updates[2])
    before["a"] = .zeros([3, 3])  // the rank grew from 2 to 3
    mean["a"] = .ones([3, 3])
    let found = old.step(before, towards: mean)
    let withoutPast = fresh.step(before, towards: mean)
    let withPast = same.step(updates[1], towards: updates[2])
    #expect(try #require(found["a"]).isIdentical(to: #require(withoutPast["a"])))
    #expect(try #require(found["b"]).isIdentical(to: #require(withPast["b"])))
    try Tensor.check()
  }

  @Test func `a mean that equals the model moves nothing`() {
    for kind in Kind.allCases {
      let global = drawnUpdates(1, seed: 2)[0]
      var optimizer = ServerOptimizer(configuration(kind) { $0.learningRate = 0.3 })
      #expect(optimizer.step(global, towards: global.copied()).isIdentical(to: global))
    }
  }
}

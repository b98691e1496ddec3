import ApusBase
import ApusTestSupport
import ApusTorch
import Testing

/// A function of float64 tensors and the shapes it is tried with.
private struct Formula: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let shapes: [[Int]]
  let value: @Sendable ([Tensor]) -> Tensor

  init(_ name: String, _ shapes: [[Int]], _ value: @escaping @Sendable ([Tensor]) -> Tensor) {
    testDescription = name
    self.shapes = shapes
    self.value = value
  }
}

private let classes = Tensor([2, 0, -100, 1], shape: [4])
private let rows = Tensor([1, 3, 1], shape: [3])

private let formulas = [
  Formula("linear", [[3, 4], [2, 4], [2]]) { linear($0[0], weight: $0[1], bias: $0[2]) },
  Formula("linear without bias", [[2, 3, 4], [2, 4]]) { linear($0[0], weight: $0[1]) },
  Formula("addmm", [[3, 2], [3, 4], [4, 2]]) {
    addmm($0[0], $0[1], $0[2], beta: 0.5, alpha: -2)
  },
  Formula("baddbmm", [[2, 3, 2], [2, 3, 4], [2, 4, 2]]) {
    baddbmm($0[0], $0[1], $0[2], beta: 0.5, alpha: 3)
  },
  Formula("layerNorm", [[3, 5], [5], [5]]) {
    layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5)
  },
  Formula("gelu", [[7]]) { gelu($0[0]) },
  Formula("gelu by tanh", [[7]]) { gelu($0[0], tanhApproximation: true) },
  Formula("silu", [[7]]) { silu($0[0]) },
  Formula("softmax", [[3, 4]]) { softmax($0[0], dim: 0) },
  Formula("logSoftmax", [[3, 4]]) { logSoftmax($0[0]) },
  Formula("crossEntropy", [[4, 3]]) { crossEntropy($0[0], classes) },
  Formula("smoothed crossEntropy", [[4, 3]]) {
    crossEntropy($0[0], classes, labelSmoothing: 0.1, sum: true)
  },
  Formula("embedding", [[5, 2]]) { embedding($0[0], rows) },
  Formula("indexSelected", [[2, 5]]) { $0[0].indexSelected(1, rows) },
  Formula("indexAdded", [[5, 2], [3, 2]]) { $0[0].indexAdded(0, rows, $0[1]) },
  Formula("conv2d", [[1, 2, 4, 4], [2, 1, 3, 3], [2]]) {
    conv2d($0[0], weight: $0[1], bias: $0[2], stride: 2, padding: 1, groups: 2)
  },
  Formula("packed attention", [[5, 8], [5, 4], [5, 4]]) {
    PackedAttention(lengths: [2, 3], keyHeads: 2, queriesPerKey: 2, scale: 0.5, isCausal: true)(
      $0[0], $0[1], $0[2])
  },
  Formula("norm and variance", [[3, 4]]) { $0[0].norm([1]) + $0[0].variance([1]) },
  Formula("custom operation", [[3], [3]]) { inputs in
    customOperation(inputs) {
      [inputs[0] * inputs[1].squared]
    } backward: { gradients in
      guard let gradient = gradients[0] else { return [nil, nil] }
      return [gradient * inputs[1].squared, gradient * 2 * inputs[0] * inputs[1]]
    }[0]
  },
]

@Suite struct GradientLaws {
  @Test(arguments: formulas)
  fileprivate func `gradients are what small changes of the inputs do`(formula: Formula) throws {
    let inputs = formula.shapes.enumerated().map {
      drawn($1, seed: UInt64($0), dtype: .float64).requiringGradient()
    }
    let output = formula.value(inputs)
    let seed = drawn(output.shape, seed: 99, dtype: .float64)
    let gradients = (output * seed).sum().gradients(by: inputs)
    try Tensor.check(formula.testDescription)
    let step = 1e-5
    for (index, input) in inputs.enumerated() {
      let numbers = input.doubles
      let slopes = numbers.indices.map { place in
        func value(_ change: Double) -> Double {
          var changed = numbers
          changed[place] += change
          var moved = inputs
          moved[index] = Tensor(changed, shape: input.shape)
          return (formula.value(moved) * seed).sum().item
        }
        return (value(step) - value(-step)) / (2 * step)
      }
      let found = try #require(gradients[index])
      expectClose(
        found, Tensor(slopes, shape: input.shape), absolute: 1e-8, relative: 1e-6,
        "\(formula.testDescription), input \(index)")
    }
  }

  @Test func `gradients of gradients of a polynomial are its higher derivatives`() throws {
    let x = Tensor([-2, 0.5, 3] as [Double], shape: [3]).requiringGradient()
    let first = try #require(x.power(4).sum().gradients(by: [x], createGraph: true)[0])
    let second = try #require(first.sum().gradients(by: [x], createGraph: true)[0])
    let third = try #require(second.sum().gradients(by: [x])[0])
    expectClose(first, 4 * x.power(3), absolute: 0, relative: 1e-12)
    expectClose(second, 12 * x.squared, absolute: 0, relative: 1e-12)
    expectClose(third, 24 * x, absolute: 0, relative: 1e-12)
    try Tensor.check()
  }

  @Test func `an input that the output does not depend on gets nil`() throws {
    let (x, y) = (Tensor.ones([2]).requiringGradient(), Tensor.ones([2]).requiringGradient())
    let gradients = x.sum().gradients(by: [x, y])
    #expect(gradients[0]?.floats == [1, 1])
    #expect(gradients[1] == nil)
    try Tensor.check()
  }

  @Test func `seeds weigh the outputs`() throws {
    let x = Tensor([1, 2] as [Float], shape: [2]).requiringGradient()
    let gradients = Tensor.gradients(
      of: [x * 3, x.sum()], seeds: [Tensor([1, 10] as [Float], shape: [2]), nil], by: [x])
    #expect(gradients[0]?.floats == [4, 31])
    try Tensor.check()
  }

  @Test func `asking without a graph, or twice without keeping it, is a failure`() throws {
    let x = Tensor.ones([2]).requiringGradient()
    #expect(Tensor.ones([2]).sum().gradients(by: [x])[0] == nil)
    #expect(throws: ApusError.self) { try Tensor.check() }
    let loss = x.squared.sum()
    #expect(loss.gradients(by: [x], keepGraph: true)[0]?.floats == [2, 2])
    #expect(loss.gradients(by: [x])[0]?.floats == [2, 2])
    #expect(loss.gradients(by: [x])[0] == nil)
    #expect(throws: ApusError.self) { try Tensor.check() }
  }

  @Test func `detaching cuts, and recording goes on and off by nesting`() throws {
    let x = Tensor.ones([2]).requiringGradient()
    #expect((x * 2).requiresGradient)
    #expect(!(x * 2).detached().requiresGradient)
    #expect((x * x.detached()).sum().gradients(by: [x])[0]?.floats == [1, 1])
    withoutGradient {
      #expect(!(x * 2).requiresGradient)
      withGradient {
        #expect((x * 2).requiresGradient)
        withoutGradient { #expect(!(x * 2).requiresGradient) }
        #expect((x * 2).requiresGradient)
      }
      #expect(!(x * 2).requiresGradient)
    }
    struct Stop: Error {}
    #expect(throws: Stop.self) { try withoutGradient { throw Stop() } }
    #expect((x * 2).requiresGradient)
    try Tensor.check()
  }

  @Test func `a graph of a hundred thousand steps is freed without overflowing the stack`() throws {
    let x = Tensor.ones([1]).requiringGradient()
    var y = x
    for _ in 0..<100_000 { y = y * 1 }
    #expect(y.requiresGradient)
    y = x
    try Tensor.check()
  }
}

import ApusBase
import ApusTestSupport
import ApusTorch
import Testing

/// Its life shows whether a closure that captured it is still held.
private final class Probe: Sendable {}

/// x² with a backward that can itself be differentiated.
private func square(_ x: Tensor, summed: Bool = false) -> Tensor {
  customOperation([x]) {
    [summed ? x.squared.sum() : x.squared]
  } backward: { gradients in
    [gradients[0].map { $0 * 2 * x }]
  }[0]
}

@Suite struct CustomOperationLaws {
  @Test(arguments: [false, true])
  func `a backward is differentiated like any other code`(summed: Bool) throws {
    let x = Tensor([-2, 0.5, 3] as [Double], shape: [3]).requiringGradient()
    let cube = (square(x, summed: summed) * x).sum()
    let first = try #require(cube.gradients(by: [x], createGraph: true)[0])
    let second = try #require(first.sum().gradients(by: [x])[0])
    try Tensor.check()
    // Elementwise x³; summed, Σx² · Σx.
    let total = x.sum().item
    expectClose(
      first, summed ? 2 * total * x + x.squared.sum() : 3 * x.squared, absolute: 1e-12,
      relative: 1e-12)
    expectClose(
      second, summed ? 2 * total + 6 * x + 2 * x.sum() : 6 * x, absolute: 1e-12, relative: 1e-12)
  }

  @Test(arguments: ["used", "dropped", "off the graph", "not recorded"])
  func `the backward closure is released`(fate: String) throws {
    weak var watched: Probe?
    do {
      let probe = Probe()
      watched = probe
      let leaf = Tensor.ones([2])
      let x = fate == "off the graph" ? leaf : leaf.requiringGradient()
      func run() -> Tensor {
        customOperation([x]) {
          [x * 1]
        } backward: { gradients in
          withExtendedLifetime(probe) { gradients }
        }[0]
      }
      let y = fate == "not recorded" ? withoutGradient(run) : run()
      #expect(y.requiresGradient == (fate == "used" || fate == "dropped"))
      if fate == "used" { #expect(y.sum().gradients(by: [x])[0]?.floats == [1, 1]) }
    }
    #expect(watched == nil)
    try Tensor.check()
  }

  @Test func `unused outputs, constant inputs and absent gradients are nil`() throws {
    let (x, constant) = (Tensor.ones([2]).requiringGradient(), Tensor.ones([2]))
    let outputs = customOperation([x, constant]) {
      [x * 2, x * 3]
    } backward: { gradients in
      #expect(gradients[0] == nil)
      return [gradients[1].map { $0 * 3 }, gradients[1]]
    }
    #expect(outputs[1].sum().gradients(by: [x])[0]?.floats == [3, 3])
    let silent = customOperation([x]) {
      [x * 2]
    } backward: { _ in
      [nil]
    }
    #expect(silent[0].sum().gradients(by: [x])[0] == nil)
    try Tensor.check()
  }

  @Test func `a backward runs twice while the graph is kept, and fails after`() throws {
    let x = Tensor([3, 4] as [Float], shape: [2]).requiringGradient()
    let loss = square(x).sum()
    for keep in [true, false] {
      #expect(loss.gradients(by: [x], keepGraph: keep)[0]?.floats == [6, 8])
    }
    try Tensor.check()
    #expect(loss.gradients(by: [x])[0] == nil)
    let error = #expect(throws: ApusError.self) { try Tensor.check() }
    #expect(error?.problem.contains("keep it") == true)
  }

  @Test func `a failing backward is this thread's failure, with its first message`() throws {
    let x = Tensor.ones([2]).requiringGradient()
    let wrong: [@Sendable ([Tensor?]) -> [Tensor?]] = [
      { _ in [matmul(Tensor.ones([2, 3]), Tensor.ones([4]))] }, { _ in [] },
      { _ in [Tensor.ones([3, 7])] },
    ]
    for (backward, word) in zip(wrong, ["matmul", "custom operation", "shape"]) {
      let y = customOperation([x], forward: { [x * 1] }, backward: backward)[0]
      #expect(y.sum().gradients(by: [x])[0] == nil)
      let error = #expect(throws: ApusError.self) { try Tensor.check("backward") }
      #expect(error?.problem.contains(word) == true, "\(String(describing: error))")
      #expect(!Tensor.hasFailure)
    }
  }

  @Test func `a forward may return an input or a constant, and puts neither on the graph`() throws {
    let x = Tensor([3, 4] as [Float], shape: [2]).requiringGradient()
    let frozen = Tensor.ones([2])
    let outputs = customOperation([x]) {
      [x, frozen, x.reshaped([2, 1])]
    } backward: { gradients in
      [gradients[0].map { $0 * 10 }]
    }
    #expect(!frozen.requiresGradient)
    #expect(outputs[1].requiresGradient)
    #expect(outputs[0].sum().gradients(by: [x])[0]?.floats == [10, 10])
    #expect((x * 2).sum().gradients(by: [x])[0]?.floats == [2, 2])
    try Tensor.check()
  }

  @Test func `a failed forward is a failure, not a crash`() throws {
    let x = Tensor.ones([2]).requiringGradient()
    let outputs = customOperation([x]) {
      [matmul(x, Tensor.ones([3]))]
    } backward: {
      $0
    }
    #expect(!outputs[0].isDefined)
    #expect(throws: ApusError.self) { try Tensor.check() }
  }

  @Test func `a chain of a hundred thousand is freed without overflowing the stack`() throws {
    let x = Tensor.ones([1]).requiringGradient()
    var y = x
    for _ in 0..<100_000 {
      let before = y
      y =
        customOperation([before]) {
          [before * 1]
        } backward: {
          $0
        }[0]
    }
    #expect(y.requiresGradient)
    y = x
    try Tensor.check()
  }
}

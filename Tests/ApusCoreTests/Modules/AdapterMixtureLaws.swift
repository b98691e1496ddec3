import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// Adds W·drop(x), with gradients by W.
private final class Added: ProjectionAdapter {
  let weight: Tensor
  let dropout: Dropout

  init(_ weight: Tensor, dropout: Double = 0) {
    self.weight = weight.requiringGradient()
    self.dropout = Dropout(dropout)
  }

  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    output + linear(dropout(input, pass, "lora"), weight: weight)
  }
}

@Suite struct AdapterMixtureLaws {
  private let x: Tensor
  private let site = ProjectionSite(3, 2, bias: false)
  private let (one, two): (Added, Added)
  private let layout = RowLayout(lengths: [2, 1, 2])
  private var pass: ForwardPass { ForwardPass(layout: layout) }

  init() {
    var stream = RandomStream(seed: 1)
    x = drawn([5, 3], &stream)
    site.base.weight.value = drawn([2, 3], &stream)
    (one, two) = (Added(drawn([2, 3], &stream)), Added(drawn([2, 3], &stream)))
    site.attach(one, named: "one")
    site.attach(two, named: "two")
  }

  private func output(_ shares: [String: AdapterMixture.Share]) -> Tensor {
    site.mixture = AdapterMixture(shares)
    return site(x, pass)
  }

  @Test func `weight 1 is the adapter itself and weight 0 its absence, bit for bit`() {
    let both = output([:])
    #expect(output(["one": .whole, "two": .whole]).isIdentical(to: both))
    let alone = output(["two": .none])
    site.detach(named: "two")
    #expect(output([:]).isIdentical(to: alone))
    #expect(AdapterMixture.only("one", of: ["one", "two"])["two"].weight.isNone)
  }

  @Test func `the output is linear in the weights`() {
    let none = output(["one": .none, "two": .none])
    let changes = [output(["two": .none]) - none, output(["one": .none]) - none]
    for (first, second) in [(0.5, 0.5), (0.3, 0.7), (2, -1)] {
      expectClose(
        output(["one": .init(.constant(first)), "two": .init(.constant(second))]),
        none + changes[0] * first + changes[1] * second, absolute: 1e-6, relative: 1e-6)
    }
  }

  @Test func `a weight for each example acts on each of its rows`() {
    let weights: [Float] = [0, 1, 0.25]
    let found = output([
      "one": .init(.perExample(Tensor(weights, shape: [3]))), "two": .none,
    ])
    for (row, weight) in [0, 0, 1, 0.25, 0.25].enumerated() {
      let expected = output(["one": .init(.constant(weight)), "two": .none])
      expectClose(found[row], expected[row], absolute: 1e-6, relative: 1e-6)
    }
    // Where a layer sees one vector an example, the weights are its rows'.
    let pooled = x.sliced(0, 0..<3)
    site.mixture = AdapterMixture(["one": .init(.perExample(Tensor(weights, shape: [3])))])
    let some = site(pooled, pass)
    site.mixture = AdapterMixture(["one": .none])
    expectClose(some[0], site(pooled, pass)[0], absolute: 1e-6, relative: 1e-6)
  }

  @Test func `a detached adapter has no gradient, and lets none through`() {
    let input = x.requiringGradient()
    func gradients(_ shares: [String: AdapterMixture.Share]) -> [Tensor?] {
      site.mixture = AdapterMixture(shares)
      return site(input, pass).squared.sum().gradients(by: [one.weight, two.weight, input])
    }
    let attached = gradients(["one": .init(.constant(0.5)), "two": .init(.constant(0.5))])
    let detached = gradients([
      "one": .init(.constant(0.5)), "two": .init(.constant(0.5), isDetached: true),
    ])
    #expect(detached[0] != nil && detached[1] == nil)
    #expect(attached[1] != nil)
    #expect(detached[2].flatMap { found in attached[2].map { found.isIdentical(to: $0) } } == false)
    #expect(
      output(["two": .init(.constant(0.5), isDetached: true)])
        .isIdentical(to: output(["two": .init(.constant(0.5))])))
  }

  @Test func `a gate's weights are positive, sum to 1 for every row, and learn`() throws {
    var stream = RandomStream(seed: 2)
    let gate = AdapterGate(
      drawn([2, 3], &stream).requiringGradient(), for: ["one", "two"])
    let weights = gate.weights(x)
    #expect((weights .> 0).allTrue)
    expectClose(weights.sum([1]), .ones([5]), absolute: 1e-6, relative: 0)
    site.gate = gate
    let none = output(["one": .none, "two": .none])
    let changes = [output(["two": .none]) - none, output(["one": .none]) - none]
    let mixed = output(["one": .init(.gated), "two": .init(.gated)])
    expectClose(
      mixed,
      none + changes[0] * weights.sliced(1, 0..<1) + changes[1] * weights.sliced(1, 1..<2),
      absolute: 1e-6, relative: 1e-6)
    #expect(try #require(mixed.squared.sum().gradients(by: [gate.weight])[0]).anyTrue)
  }

  @Test func `adapters drop elements of their own, or all the same ones`() {
    let same = Tensor.ones([2, 3])
    for (name, _) in site.adapters { site.attach(Added(same, dropout: 0.5), named: name) }
    let training = ForwardPass(layout: layout, random: RandomStream(seed: 3))
    func parts(_ sharesDropout: Bool) -> [Tensor] {
      ["one", "two"].map { name in
        site.mixture = .only(name, of: ["one", "two"])
        site.mixture.sharesDropout = sharesDropout
        return site(x, training) - site.base(x)
      }
    }
    let (own, shared) = (parts(false), parts(true))
    #expect(!own[0].isIdentical(to: own[1]))
    #expect(shared[0].isIdentical(to: shared[1]))
    #expect(own[0].isIdentical(to: shared[0]))
  }

  @Test func `a companion joins with its weight`() {
    let (own, other) = (Tensor.full([2], 4), Tensor.full([2], 2))
    #expect(CompanionWeight.mixed(0.25).mixed(own, other).floats == [3.5, 3.5])
    #expect(CompanionWeight(model: 1, companion: 1).mixed(own, other).floats == [6, 6])
    #expect(CompanionWeight.mixed(0).mixed(own, other).isIdentical(to: own))
    #expect(CompanionWeight.mixed(1).mixed(own, other).isIdentical(to: other))
  }
}

extension AdapterMixture.Weight {
  fileprivate var isNone: Bool { if case .constant(0) = self { true } else { false } }
}

import ApusBase
import ApusCore
import ApusTorch
import Testing

private let pairs = [
  FactorPair(site: "q", a: "q.A", b: "q.B", scaling: 1),
  FactorPair(site: "v", a: "v.A", b: "v.B", scaling: 1),
]

private func drawnValues(zeroB: Bool = false) -> NamedTensors {
  var stream = RandomStream(seed: 6)
  return NamedTensors([
    "q.A": drawn([4, 5], &stream), "q.B": zeroB ? .zeros([6, 4]) : drawn([6, 4], &stream),
    // A site that can hold no more than rank 2 has no tail.
    "v.A": drawn([2, 5], &stream), "v.B": drawn([6, 2], &stream),
  ])
}

private func gradients(_ values: NamedTensors) throws -> NamedTensors {
  let leaves = values.mapValues { $0.requiringGradient() }
  let step = LocalStep(
    LocalPhase(
      trainables: leaves.map { ($0.name, $0.tensor) }, stepCount: 1, fullStepCount: 1, round: nil),
    index: 0, random: RandomStream(seed: 1))
  let penalty = try #require(TailPenalty(pairs, from: 3, 2).penalty(step))
  var named: [String: Tensor] = [:]
  for (name, gradient) in zip(leaves.names, penalty.gradients(by: leaves.tensors)) {
    named[name] = gradient
  }
  return NamedTensors(named)
}

@Suite struct TailPenaltyLaws {
  @Test func `the score is the product of the tails' norms, over all sites`() throws {
    let values = drawnValues()
    let a = try #require(values["q.A"]).sliced(0, 3..<4).norm().item
    let b = try #require(values["q.B"]).sliced(1, 3..<4).norm().item
    #expect(abs(TailPenalty(pairs, from: 3, 2).score(of: values) - a * b) < 1e-5)
    #expect(TailPenalty(pairs, from: 4, 2).score(of: values) == 0)
    #expect(TailPenalty(pairs, from: 1, 2).score(of: values) > a * b)
  }

  @Test func `only the tail has a gradient, and it has one everywhere`() throws {
    let found = try gradients(drawnValues())
    let (a, b) = (try #require(found["q.A"]), try #require(found["q.B"]))
    #expect(!a.sliced(0, 0..<3).anyTrue && a.sliced(0, 3..<4).allTrue)
    #expect(!b.sliced(1, 0..<3).anyTrue && b.sliced(1, 3..<4).allTrue)
    #expect(found["v.A"] == nil && found["v.B"] == nil)
  }

  @Test func `at B = 0 the gradient is finite`() throws {
    #expect(try gradients(drawnValues(zeroB: true)).firstNonFinite == nil)
  }
}

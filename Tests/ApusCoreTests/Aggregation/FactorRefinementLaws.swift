import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// Means of drawn factors, and the mean of their products as factors and as a matrix.
private struct DrawnMeans {
  var a: Tensor
  var b: Tensor
  var ideal = FactoredSum()
  var dense: Tensor

  /// Six clients around one point, so that the means are of some use.
  init(seed: UInt64, shape: [Int] = [24, 20], rank: Int = 3, scale: Double = 1) {
    var stream = RandomStream(seed: seed).substream("means")
    let center = (a: drawn([rank, shape[1]], &stream), b: drawn([shape[0], rank], &stream))
    var terms: [(a: Tensor, b: Tensor, share: Double)] = []
    for share in [0.1, 0.1, 0.15, 0.15, 0.2, 0.3] {
      terms.append(
        (
          a: (center.a + drawn(center.a.shape, &stream) * 0.5).to(.float64),
          b: (center.b + drawn(center.b.shape, &stream) * 0.5).to(.float64) * scale, share: share
        ))
    }
    a = stacked(terms.map { $0.a * $0.share }).sum([0])
    b = stacked(terms.map { $0.b * $0.share }).sum([0])
    dense = stacked(terms.map { matmul($0.b, $0.a) * $0.share }).sum([0])
    for term in terms { ideal.add(b: term.b, a: term.a, weight: term.share) }
  }

  func correction(_ options: FactorRefinement) -> Tensor {
    options.correction(of: b, a: a, towards: ideal, random: RandomStream(seed: 1))
  }

  /// cos((B̄ + ΔB)Ā, ΔW), formed densely.
  func cosine(_ correction: Tensor) -> Double { Self.cosine(matmul(b + correction, a), dense).item }

  static func cosine(_ x: Tensor, _ y: Tensor) -> Tensor {
    (x * y).sum() / (x.norm() * y.norm())
  }
}

private func makeOptions(
  _ strength: Double, penalty: FactorRefinement.Penalty = .squared, steps: Int = 1_000,
  rate: Double = 0.01, start: FactorRefinement.Start = .zeros
) -> FactorRefinement {
  var options = FactorRefinement()
  (options.strength, options.penalty, options.steps) = (strength, penalty, steps)
  (options.learningRate, options.start) = (rate, start)
  return options
}

private var closedForm: FactorRefinement {
  var options = FactorRefinement()
  (options.objective, options.strength) = (.frobenius, 0)
  return options
}

@Suite struct FactorRefinementLaws {
  @Test(arguments: 0..<8 as Range<UInt64>)
  func `the cosine grows, up to that of the closed form without penalty`(seed: UInt64) throws {
    let means = DrawnMeans(seed: seed)
    let before = means.cosine(means.b.zerosLike)
    let best = means.cosine(means.correction(closedForm))
    let found = means.cosine(means.correction(makeOptions(0.01)))
    #expect(found > before && found <= best + 1e-6)
    let long = means.cosine(means.correction(makeOptions(0, steps: 4_000, rate: 2)))
    #expect(long <= best + 1e-12 && best - long < 0.01 * (best - before))
    try Tensor.check()
  }

  @Test(arguments: [FactorRefinement.Start.zeros, .xavier], 0..<3 as Range<UInt64>)
  func `the steps are those of gradient descent on the matrices themselves`(
    start: FactorRefinement.Start, seed: UInt64
  ) {
    let means = DrawnMeans(seed: seed)
    var change = means.correction(makeOptions(0.3, steps: 0, start: start))
    for _ in 0..<40 {
      let leaf = change.detached().requiringGradient()
      let product = matmul(means.b + leaf, means.a)
      let loss = 1 - DrawnMeans.cosine(product, means.dense) + leaf.squared.sum() * 0.3
      guard let gradient = loss.gradients(by: [leaf])[0] else { continue }
      change = change - gradient * 0.5
    }
    let found = means.correction(makeOptions(0.3, steps: 40, rate: 0.5, start: start))
    expectClose(found, change.detached(), absolute: 1e-10, relative: 1e-8)
    #expect(found.norm().item > 1e-3)
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `the cosine's gradient is orthogonal to the factor`(seed: UInt64) {
    let means = DrawnMeans(seed: seed)
    let step = means.correction(makeOptions(0.01, steps: 1))
    let product = (step * means.b).sum().item / (step.norm().item * means.b.norm().item)
    #expect(abs(product) < 1e-9 && step.norm().item > 0)
  }

  @Test(arguments: 0..<3 as Range<UInt64>)
  func `a stronger penalty leaves B̄ more as it is, to the end`(seed: UInt64) {
    let means = DrawnMeans(seed: seed)
    let corrections = [0, 0.01, 0.1, 10].map { means.correction(makeOptions($0)) }
    let norms = corrections.map { $0.norm().item }
    let cosines = corrections.map { DrawnMeans.cosine(means.b + $0, means.b).item }
    for index in 0..<3 {
      #expect(norms[index] > norms[index + 1])
      #expect(cosines[index] < cosines[index + 1])
    }
    #expect(norms[3] < 0.05 * norms[0])
  }

  @Test(arguments: 0..<3 as Range<UInt64>)
  func `a plain norm holds it at exactly zero where the gradient is at most λ`(seed: UInt64) {
    let means = DrawnMeans(seed: seed)
    let slope = means.correction(makeOptions(0, steps: 1, rate: 1)).norm().item
    let held = means.correction(makeOptions(slope * 1.01, penalty: .norm, steps: 50, rate: 1))
    #expect(!held.anyTrue)
    let moved = means.correction(makeOptions(slope * 0.5, penalty: .norm, steps: 50, rate: 1))
    #expect(moved.norm().item > 0)
    #expect(moved.norm().item < means.correction(makeOptions(0, steps: 50, rate: 1)).norm().item)
  }

  @Test(arguments: [0, 0.01])
  func `where the product of the means is the mean of the products nothing moves`(
    strength: Double
  ) {
    let means = DrawnMeans(seed: 2)
    let exact = FactoredSum(b: means.b, a: means.a)
    for options in [makeOptions(strength), closedForm] {
      let found = options.correction(
        of: means.b, a: means.a, towards: exact, random: RandomStream(seed: 1))
      #expect(found.norm().item < 1e-6)
    }
  }

  @Test func `the closed form scales with the products, and fits best of all`() throws {
    let (means, larger) = (DrawnMeans(seed: 4), DrawnMeans(seed: 4, scale: 7))
    let found = means.correction(closedForm)
    expectClose(larger.correction(closedForm), found * 7, absolute: 1e-9, relative: 1e-9)
    let error = (means.dense - matmul(means.b + found, means.a)).norm().item
    var stream = RandomStream(seed: 9)
    for _ in 0..<20 {
      let other = found + drawn(found.shape, &stream, dtype: .float64) * 0.01
      #expect((means.dense - matmul(means.b + other, means.a)).norm().item > error)
    }
  }

  @Test func `without a direction there is no correction`() throws {
    let means = DrawnMeans(seed: 1)
    for options in [makeOptions(0.01), closedForm] {
      let none = options.correction(
        of: means.b.zerosLike, a: means.a, towards: FactoredSum(), random: RandomStream(seed: 1))
      #expect(!none.anyTrue)
    }
    let zero = makeOptions(0.01).correction(
      of: means.b.zerosLike, a: means.a, towards: means.ideal, random: RandomStream(seed: 1))
    #expect(!zero.anyTrue)
    try Tensor.check()
  }

  @Test func `settings that diverge or contradict each other are refused`() {
    var both = closedForm
    both.penalty = .norm
    for bad in [makeOptions(-1), makeOptions(60), makeOptions(1, rate: -1), both] {
      #expect(throws: ApusError.self) { try bad.validate() }
    }
    #expect(throws: ApusError.self) { try makeOptions(1, steps: -1).validate() }
  }
}

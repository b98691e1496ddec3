import ApusBase
import Testing

@Suite struct DistributionsLaws {
  @Test(arguments: [0.05, 0.3, 1, 4.5, 200], 0..<3 as Range<UInt64>)
  func `a gamma number has its shape as mean and as variance`(shape: Double, seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let count = 20_000
    let draws = (0..<count).map { _ in stream.gamma(shape: shape) }
    let mean = draws.reduce(0, +) / Double(count)
    let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    #expect(draws.allSatisfy { $0 >= 0 && $0.isFinite })
    // Six standard deviations of either: Var(s²) = (μ₄ − μ₂²)/n with μ₄ = 3·shape² + 6·shape.
    #expect(abs(mean - shape) < 6 * (shape / Double(count)).squareRoot())
    let spread = ((2 * shape * shape + 6 * shape) / Double(count)).squareRoot()
    #expect(abs(variance - shape) < 6 * spread)
  }

  @Test(arguments: [1e-300, 1e-8, 1e-3, 0.1, 1, 1e6, 1e300])
  func `Dirichlet shares are shares for any concentration`(concentration: Double) {
    for seed in 0..<50 as Range<UInt64> {
      var stream = RandomStream(seed: seed)
      let shares = stream.dirichlet(Array(repeating: concentration, count: 8))
      #expect(shares.count == 8)
      #expect(shares.allSatisfy { (0...1).contains($0) })
      #expect(abs(shares.reduce(0, +) - 1) < 1e-12)
      if concentration >= 1e6 { #expect(shares.allSatisfy { abs($0 - 0.125) < 0.01 }) }
      if concentration <= 1e-8 { #expect((shares.max() ?? 0) > 0.999) }
    }
  }

  @Test(arguments: [1e-6, 1e-3, 0.1, 1, 10])
  func `the expected share is the concentration's share`(scale: Double) {
    let concentrations = [1, 2, 5].map { $0 * scale }
    let count = 4_000
    var sums = [0.0, 0, 0]
    var stream = RandomStream(seed: 5)
    for _ in 0..<count {
      for (index, share) in stream.dirichlet(concentrations).enumerated() { sums[index] += share }
    }
    // Five standard deviations, of a share that is 0 or 1 at the worst.
    for (sum, weight) in zip(sums, [0.125, 0.25, 0.625]) {
      let slack = 5 * (weight * (1 - weight) / Double(count)).squareRoot()
      #expect(abs(sum / Double(count) - weight) < slack)
    }
  }

  @Test(arguments: 0..<3 as Range<UInt64>)
  func `an index is drawn as often as its weight says, and never without weight`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let weights: [Double] = [0, 1, 0, 3, 6, 0]
    let count = 10_000
    var hits = [Int](repeating: 0, count: 6)
    for _ in 0..<count { hits[stream.index(weightedBy: weights)] += 1 }
    for (hit, weight) in zip(hits, weights) {
      let share = weight / 10
      let slack = 5 * (share * (1 - share) / Double(count)).squareRoot()
      #expect(abs(Double(hit) / Double(count) - share) <= slack)
    }
    #expect(stream.index(weightedBy: [0, .leastNonzeroMagnitude, 0]) == 1)
  }

  @Test(arguments: [1, 2, 7, 1 << 40, Int.max], 0..<5 as Range<UInt64>)
  func `integers stay below their bound`(bound: Int, seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let draws = (0..<200).map { _ in stream.integer(below: bound) }
    #expect(draws.allSatisfy { (0..<bound).contains($0) })
    if bound <= 7 { #expect(Set(draws).count == bound) }
    if bound > 1 << 30 { #expect(Set(draws).count == 200) }
  }

  @Test func `samples reach from none to all`() {
    var stream = RandomStream(seed: 1)
    #expect(stream.sample(0, below: 5).isEmpty)
    #expect(stream.sample(0, below: 0).isEmpty)
    #expect(stream.sample(5, below: 5) == [0, 1, 2, 3, 4])
    #expect(stream.shuffled([Int]()).isEmpty)
  }

  @Test func `every element comes to every place of a shuffle equally often`() {
    var stream = RandomStream(seed: 9)
    var counts = [[Int]](repeating: [0, 0, 0, 0], count: 4)
    for _ in 0..<8_000 {
      for (place, element) in stream.shuffled(0..<4).enumerated() { counts[place][element] += 1 }
    }
    // Five standard deviations of 8000 draws with probability 1/4.
    for count in counts.joined() { #expect(abs(count - 2_000) < 200) }
  }
}

import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

private let pair = FactorPair(site: "query", a: "A", b: "B", scaling: 0.5)

/// The factors of one site: A [r, d_in] and B [d_out, r].
private struct Factors {
  var a: Tensor
  var b: Tensor
  var named: NamedTensors { NamedTensors(["A": a, "B": b]) }

  static func drawn(_ count: Int, seed: UInt64) -> [Factors] {
    var stream = RandomStream(seed: seed).substream("factors")
    return (0..<count).map { _ in
      Factors(
        a: ApusCoreTests.drawn([2, 5], &stream), b: ApusCoreTests.drawn([4, 2], &stream))
    }
  }
}

/// The measured relative bias of averaging these factors.
private func measured(
  _ clients: [Factors], _ weights: [Double], pairs: [FactorPair] = [pair]
) throws -> Double? {
  var sums = AggregationBias(pairs).sums()
  var mean = WeightedMean(like: try #require(clients.first).named)
  for (client, weight) in zip(clients, weights) {
    sums.add(client.named, weight: weight)
    try mean.absorb(client.named, weight: weight, at: "here")
  }
  let average = mean.finish()
  return sums.relativeBias(of: try #require(average))
}

@Suite struct AggregationBiasLaws {
  @Test func `the card's example: product 4, ideal 5, R = 1`() throws {
    let clients = [1, 3].map { Factors(a: .full([1, 1], $0), b: .full([1, 1], $0)) }
    let bias = try #require(try measured(clients, [7, 7]))
    #expect(abs(bias - 1.0 / 5) < 1e-12)
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the gap is Σ pₖ(Bₖ − B̄)(Aₖ − Ā), and its norm is what is measured`(seed: UInt64) throws {
    let clients = Factors.drawn(4, seed: seed)
    let weights = drawnWeights(4, seed: seed)
    let shares = weights.map { $0 / weights.reduce(0, +) }
    func sum(_ term: (Factors) -> Tensor) -> Tensor {
      stacked(zip(clients, shares).map { term($0).to(.float64) * $1 }).sum([0])
    }
    let (meanA, meanB) = (sum(\.a), sum(\.b))
    let ideal = sum { matmul($0.b.to(.float64), $0.a.to(.float64)) }
    let gap = ideal - matmul(meanB, meanA)
    let centred = sum { matmul($0.b.to(.float64) - meanB, $0.a.to(.float64) - meanA) }
    expectClose(centred, gap, absolute: 1e-12, relative: 1e-10)
    let bias = try #require(try measured(clients, weights))
    let expected = gap.norm().item / ideal.norm().item
    #expect(abs(bias - expected) < 1e-6 * expected)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `there is none when all A are equal, or all B, or there is one client`(
    seed: UInt64
  ) throws {
    let clients = Factors.drawn(5, seed: seed)
    let weights = drawnWeights(5, seed: seed)
    let sameA = clients.map { Factors(a: clients[0].a, b: $0.b) }
    let sameB = clients.map { Factors(a: $0.a, b: clients[0].b) }
    for cohort in [sameA, sameB, [clients[0]]] {
      #expect(try #require(try measured(cohort, weights)) < 1e-6)
    }
    #expect(try #require(try measured(clients, weights)) > 1e-3)
  }

  @Test func `a bias of weights' common factor or of the scaling does not exist`() throws {
    let clients = Factors.drawn(3, seed: 1)
    let expected = try #require(try measured(clients, [1, 2, 3]))
    let scaled = try #require(try measured(clients, [100, 200, 300]))
    let other = [FactorPair(site: "query", a: "A", b: "B", scaling: 4)]
    let rescaled = try #require(try measured(clients, [1, 2, 3], pairs: other))
    #expect(abs(scaled - expected) < 1e-9)
    #expect(abs(rescaled - expected) < 1e-9)
  }

  @Test func `without sites, updates or products nothing is reported`() throws {
    let client = Factors.drawn(1, seed: 1)[0]
    #expect(try measured([client], [1], pairs: []) == nil)
    #expect(AggregationBias([pair]).sums().relativeBias(of: client.named) == nil)
    let fresh = Factors(a: client.a, b: client.b.zerosLike)
    #expect(try measured([fresh, fresh], [1, 1]) == nil)
  }
}

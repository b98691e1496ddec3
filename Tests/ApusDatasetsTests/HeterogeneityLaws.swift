import ApusBase
import Foundation
import Testing

@testable import ApusDatasets

@Suite struct HeterogeneityLaws {
  private func report(_ counts: [[Int]]) -> HeterogeneityReport {
    HeterogeneityReport(
      names: counts.indices.map { "c\($0)" }, counts: counts,
      labelNames: (counts.first ?? []).indices.map { "l\($0)" })
  }

  private func expectClose(_ found: Double, _ expected: Double) {
    #expect(abs(found - expected) < 1e-12, "\(found) is not \(expected)")
  }

  @Test func `measures have the values found by hand`() {
    // q₁ = (3/4, 1/4), q₂ = (1/4, 3/4), q = (1/2, 1/2).
    let measured = report([[3, 1], [1, 3]])
    expectClose(measured.meanTotalVariation, 0.25)
    expectClose(measured.meanDivergence, 0.75 * log(1.5) + 0.25 * log(0.5))
    let entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))
    expectClose(measured.meanJensenShannon, log(2) - entropy)
    expectClose(measured.meanEffectiveClasses, exp(entropy))
    expectClose(measured.effectiveClasses, 2)
    expectClose(measured.majorityShare, 0.5)
    expectClose(measured.sizeGini, 0)
    expectClose(measured.sizeVariation, 0)
  }

  @Test func `sizes have the values found by hand`() {
    // Sizes 1, 2, 9: Gini (−2·1 + 0·2 + 2·9) / (3·12); mean 4, variance (9 + 4 + 25) / 3.
    let measured = report([[1], [9], [2]])
    expectClose(measured.sizeGini, 16.0 / 36)
    expectClose(measured.sizeVariation, (38.0 / 3).squareRoot() / 4)
    expectClose(measured.meanTotalVariation, 0)
  }

  @Test func `clients with one class each are as far apart as can be`() {
    let measured = report([[5, 0], [0, 5], [0, 0]])
    expectClose(measured.meanTotalVariation, 0.5)
    expectClose(measured.meanJensenShannon, log(2))
    expectClose(measured.meanEffectiveClasses, 1)
    expectClose(measured.clients[2].effectiveClasses, 0)
  }

  @Test(arguments: 0..<10)
  func `a vast concentration leaves no skew and a tiny one leaves little else`(
    seed: UInt64
  ) throws {
    let data = try makeDataset([400, 400, 400, 400])
    func skew(_ partitioner: some Partitioner) throws -> Double {
      let partition = try partitioner.partition(data, random: RandomStream(seed: seed))
      return try HeterogeneityReport(partition, of: data).meanTotalVariation
    }
    #expect(try skew(DirichletByClass(clients: 8, concentration: 1e6)) < 0.01)
    // Clients draw their classes one by one, so chance of order √(C / n) remains.
    #expect(try skew(DirichletByClient(clients: 8, concentration: 1e6)) < 0.1)
    #expect(try skew(IIDPartitioner(clients: 8)) < 0.1)
    #expect(try skew(QuantitySkew(clients: 8, law: .powerLaw(exponent: 1), minimum: 50)) < 0.15)
    #expect(try skew(DirichletByClass(clients: 8, concentration: 0.05, minimum: 1)) > 0.5)
    #expect(try skew(DirichletByClient(clients: 8, concentration: 0.05)) > 0.4)
    #expect(try skew(LabelShards(clients: 8, perClient: 1)) == 0.75)
  }

  @Test func `skew falls as the concentration rises`() throws {
    let data = try makeDataset([500, 500, 500, 500])
    func skew(_ concentration: Double) throws -> Double {
      let values = try (0..<10).map { (seed: UInt64) in
        let partition = try DirichletByClass(
          clients: 10, concentration: concentration, minimum: 1
        ).partition(data, random: RandomStream(seed: seed))
        return try HeterogeneityReport(partition, of: data).meanTotalVariation
      }
      return values.reduce(0, +) / 10
    }
    let skews = try [0.1, 1, 10, 100].map(skew)
    #expect(skews == skews.sorted(by: >))
  }

  @Test func `the sizes of a power law are its ranks`() throws {
    let data = try makeDataset([600, 500])
    let sizes = try QuantitySkew(clients: 3, law: .powerLaw(exponent: 1), minimum: 0)
      .partition(data, random: RandomStream(seed: 3)).sizes
    #expect(sizes.sorted() == [200, 300, 600])
  }

  @Test func `a report survives its JSON and fits its partition`() throws {
    let data = try makeDataset([30, 70])
    let partition = try IIDPartitioner(clients: 4).partition(data, random: RandomStream(seed: 1))
    let report = try HeterogeneityReport(partition, of: data)
    let json = try JSONEncoder().encode(report)
    #expect(try JSONDecoder().decode(HeterogeneityReport.self, from: json) == report)
    #expect(report.labelCounts.map { $0.reduce(0, +) } == partition.sizes)
    let foreign = Partition(
      clients: [Partition.Client(name: "x", positions: [100])], exampleCount: 101)
    #expect(try failure { try HeterogeneityReport(foreign, of: data) }.code == .invalidConfig)
  }

  @Test(arguments: 0..<50)
  func `apportioned parts sum to the total and stay near their quota`(seed: UInt64) {
    var random = RandomStream(seed: seed)
    let weights = (0..<7).map { _ in random.integer(below: 3) == 0 ? 0 : random.uniform() } + [0.1]
    let total = random.integer(below: 500)
    let parts = Apportionment.parts(of: total, weights: weights)
    let sum = weights.reduce(0, +)
    #expect(parts.reduce(0, +) == total)
    for (part, weight) in zip(parts, weights) {
      #expect(abs(Double(part) - Double(total) * weight / sum) < 1)
      #expect(weight > 0 || part == 0)
    }
  }
}

import ApusBase
import ApusTorch
import Testing

@testable import ApusTraining

@Suite struct FeatureHeterogeneityLaws {
  private func rows(_ count: Int, mean: Double = 0, scale: Double = 1, _ seed: Int) -> Tensor {
    var stream = RandomStream(seed: UInt64(seed))
    return Tensor.normal([count, 3], stream: &stream).to(.float64) * scale + mean
  }

  @Test func `clients with the same rows are at no Frechet distance`() throws {
    let same = rows(20, 1)
    let report = try FeatureHeterogeneity(
      features: [same, same, same],
      labels: Array(repeating: Array(repeating: 0, count: 20), count: 3))
    #expect(abs(report.meanFrechetDistance) < 1e-9)
    #expect(report.meanNonIIDIndex < 1e-6)
  }

  @Test func `the Frechet distance of shifted rows is the squared shift`() throws {
    let one = rows(50, 1)
    let report = try FeatureHeterogeneity(
      features: [one, one + 2],
      labels: [[Int](repeating: 0, count: 50), [Int](repeating: 0, count: 50)])
    #expect(abs(report.meanFrechetDistance - 3 * 4) < 1e-9)
  }

  @Test func `the Frechet distance of stretched rows is that of their deviations`() throws {
    let one = rows(50, 1)
    let centred = one - one.mean([0])
    let report = try FeatureHeterogeneity(
      features: [centred, centred * 3],
      labels: [[Int](repeating: 0, count: 50), [Int](repeating: 0, count: 50)])
    // (3 − 1)² tr Σ, as the covariances commute.
    let trace = centred.variance([0], correction: 0).sum().item
    #expect(abs(report.meanFrechetDistance - 4 * trace) < 1e-9 * trace)
  }

  @Test func `the discrepancy is near zero for equal and large for distant clients`() throws {
    let labels = Array(repeating: [Int](repeating: 0, count: 60), count: 2)
    let near = try FeatureHeterogeneity(features: [rows(60, 1), rows(60, 2)], labels: labels)
    let far = try FeatureHeterogeneity(
      features: [rows(60, 1), rows(60, mean: 5, 2)], labels: labels)
    #expect(abs(near.meanDiscrepancy) < 0.05)
    #expect(far.meanDiscrepancy > 0.5)
  }

  @Test func `the index of a class is its shift in standard deviations of all rows`() throws {
    let one = Tensor([0.0, 2.0], shape: [2, 1])
    let two = Tensor([10.0, 12.0], shape: [2, 1])
    let report = try FeatureHeterogeneity(features: [one, two], labels: [[0, 0], [0, 0]])
    let sigma = (26.0).squareRoot()  // mean 6; deviations 6, 4, 4, 6
    #expect(abs((report.nonIIDIndices[0] ?? 0) - 10 / sigma) < 1e-6)
    #expect(abs((report.nonIIDIndices[1] ?? 0) - 10 / sigma) < 1e-6)
  }

  @Test func `a client that shares no class has no index`() throws {
    let report = try FeatureHeterogeneity(
      features: [rows(4, 1), rows(4, 2), rows(4, 3)],
      labels: [[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, 2, 2]])
    #expect(report.nonIIDIndices[0] != nil)
    #expect(report.nonIIDIndices[2] == nil)
  }

  @Test func `a linear classifier finds distant clients and only guesses between equal ones`()
    throws
  {
    let labels = Array(repeating: [Int](repeating: 0, count: 200), count: 2)
    let far = try FeatureHeterogeneity(
      features: [rows(200, 1), rows(200, mean: 8, 2)], labels: labels)
    let near = try FeatureHeterogeneity(features: [rows(200, 1), rows(200, 2)], labels: labels)
    #expect(far.domainAccuracy == 1)
    #expect(abs(near.domainAccuracy - near.domainChance) < 0.12)
  }

  @Test func `one client or clients of one row are refused`() {
    #expect(throws: ApusError.self) {
      try FeatureHeterogeneity(features: [rows(4, 1)], labels: [[0, 0, 0, 0]])
    }
    #expect(throws: ApusError.self) {
      try FeatureHeterogeneity(features: [rows(4, 1), rows(1, 2)], labels: [[0, 0, 0, 0], [0]])
    }
  }
}

import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct SamplingLaws {
  private let rows = [5, 1, 9, 3, 7, 2, 8, 4]

  private func clients() -> [FederationClient] {
    rows.enumerated().map {
      FederationClient(
        id: ClientID(index: $0, name: "client \($0)"), sampleCount: $1, localSteps: 1)
    }
  }

  private func round(_ index: Int, total: Int = 100_000) -> Round {
    Round(index: index, total: total, root: RandomStream(seed: 11))
  }

  private func sampler(
    _ kind: CohortSampling.Kind, size: Int = 3, rounds: Int = 100_000
  ) throws -> CohortSampler {
    var sampling = CohortSampling()
    sampling.kind = kind
    sampling.cohortSize = size
    sampling.rate = 0.3
    return try CohortSampler(sampling, clients: clients(), rounds: rounds)
  }

  @Test(arguments: [CohortSampling.Kind.uniform, .poisson, .weighted, .uniformUnbiased])
  func `a cohort depends on seed and round only, in order and without repeats`(
    kind: CohortSampling.Kind
  ) throws {
    let sampler = try sampler(kind)
    for index in 0..<200 {
      let cohort = sampler.cohort(of: round(index))
      #expect(cohort == (try self.sampler(kind)).cohort(of: round(index)))
      let indices = cohort.map(\.client.id.index)
      #expect(indices == Set(indices).sorted())
    }
    #expect(Set((0..<200).map { sampler.cohort(of: round($0)) }).count > 50)
  }

  /// Over 20,000 rounds the relative error of a frequency is about 1 %; five times that is a bug.
  @Test func `each client is drawn as often as the way of sampling says`() throws {
    let total = Double(rows.reduce(0, +))
    let expected: [(CohortSampling.Kind, (Int) -> Double)] = [
      (.uniform, { _ in 3.0 / 8 }), (.poisson, { _ in 0.3 }),
      (.weighted, { 1 - pow(1 - Double(rows[$0]) / total, 3) }),
    ]
    for (kind, probability) in expected {
      let sampler = try sampler(kind)
      var counts = [Double](repeating: 0, count: 8)
      for index in 0..<20_000 {
        for member in sampler.cohort(of: round(index)) { counts[member.client.id.index] += 1 }
      }
      for client in 0..<8 {
        let (seen, wanted) = (counts[client] / 20_000, probability(client))
        #expect(abs(seen - wanted) < 5 * (wanted * (1 - wanted) / 20_000).squareRoot())
      }
    }
  }

  /// Both schemes give Σ pₖΔₖ on average; the deviation is taken from the samples.
  @Test(arguments: [CohortSampling.Kind.weighted, .uniformUnbiased])
  func `the server's step is unbiased`(kind: CohortSampling.Kind) throws {
    let deltas = [3.0, -8, 1, 4, -2, 6, 0.5, -5]
    let total = Double(rows.reduce(0, +))
    let target = zip(rows, deltas).reduce(0) { $0 + Double($1.0) / total * $1.1 }
    let sampler = try sampler(kind)
    var steps: [Double] = []
    for index in 0..<20_000 {
      var (sum, weights) = (0.0, 0.0)
      for member in sampler.cohort(of: round(index)) {
        guard case .fixed(let weight) = member.weight else { continue }
        sum += weight * deltas[member.client.id.index]
        weights += weight
      }
      steps.append(sampler.scalesStep ? sum : sum / weights)
    }
    let mean = steps.reduce(0, +) / Double(steps.count)
    let variance = steps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(steps.count)
    #expect(abs(mean - target) < 4 * (variance / Double(steps.count)).squareRoot())
  }

  @Test func `scheme II moves the server by the sum of weighted changes`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.server = .fedavg
    federation.hosts.keepsState = false
    federation.options.rounds = 1
    federation.options.sampling.cohortSize = 4
    federation.options.sampling.kind = .uniformUnbiased
    let outcome = try await federation.run(in: folder("unbiased"))
    let record = try RunArchive(folder("unbiased")).rounds()[0]
    let scale = record.clients.reduce(0) { $0 + $1.weight }
    federation.options.sampling.kind = .uniform
    let plain = try await federation.run(in: folder("plain"))
    for (name, start) in ToyMethod.initial {
      let moved = try #require(outcome.global[name]).doubles
      let mean = try #require(plain.global[name]).doubles
      for (place, value) in start.doubles.enumerated() {
        #expect(abs(moved[place] - (value + scale * (mean[place] - value))) < 1e-6)
      }
    }
    #expect(abs(scale - 1) > 0.01)
  }

  @Test func `over-selection draws the ceiling and waits for the wanted ones`() throws {
    var sampling = CohortSampling()
    sampling.cohortSize = 3
    for (share, drawn) in [(0.0, 3), (0.3, 4), (1, 6), (9, 8)] {
      sampling.overSelection = share
      let sampler = try CohortSampler(sampling, clients: clients(), rounds: 1)
      #expect(sampler.cohort(of: round(0)).count == drawn)
      #expect(sampler.wanted(of: drawn) == 3)
    }
    sampling.cohortSize = 10
    sampling.overSelection = 0.3
    let many = (0..<50).map {
      FederationClient(id: ClientID(index: $0, name: "\($0)"), sampleCount: 1, localSteps: 1)
    }
    let sampler = try CohortSampler(sampling, clients: many, rounds: 1)
    #expect(sampler.cohort(of: round(0)).count == 13)
  }

  @Test func `an empty cohort changes nothing and the run goes on`() async throws {
    let folder = try TemporaryFolder()
    var federation = ToyFederation()
    federation.options.sampling.kind = .poisson
    federation.options.sampling.rate = 1e-9
    let outcome = try await federation.run(in: folder("run"))
    #expect(outcome.global.isIdentical(to: ToyMethod.initial))
    let archive = try RunArchive(folder("run"))
    #expect(try archive.rounds().map(\.clients.count) == [0, 0, 0, 0])
    #expect(try archive.events().isEmpty)
  }

  @Test(arguments: [
    ("[[0, 8]]", "there is no client 8"), ("[[1, 1]]", "a client stands twice"),
    ("[[0], [1, 2]]", "the file has 2 cohorts for 3 rounds"),
    ("[[0], 3, [1]]", "expected an array"),
  ])
  func `a wrong file of cohorts is refused with its place`(text: String, problem: String) throws {
    let folder = try TemporaryFolder()
    try Data(text.utf8).write(to: folder("cohorts.json"))
    var sampling = CohortSampling()
    sampling.kind = .fixed
    sampling.cohortFile = folder("cohorts.json").path
    let rounds = problem.contains("3 rounds") ? 3 : 1
    let error = #expect(throws: ApusError.self) {
      try CohortSampler(sampling, clients: clients(), rounds: rounds)
    }
    #expect(error?.description.contains(problem) == true)
    #expect(error?.location.contains("cohorts.json") == true)
  }
}

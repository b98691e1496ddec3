public import ApusBase
public import ApusCore
import Foundation

/// Draws the cohort of each round; the draw depends on the round's stream and on nothing else.
public struct CohortSampler: Sendable {
  private let sampling: CohortSampling
  private let clients: [FederationClient]
  private let fixed: [[Int]]

  /// Prepares the draws of a whole run.
  ///
  /// - Parameters:
  ///   - sampling: How to draw.
  ///   - clients: All clients, in order of their index.
  ///   - rounds: Number of rounds; a file of fixed cohorts has to cover them.
  /// - Throws: ``ApusError`` `.invalidConfig` for settings that make no sense, or a federation
  ///   without clients or, in weighted sampling, without rows; `.fileAccess` and `.invalidFile`
  ///   for the file of cohorts.
  public init(
    _ sampling: CohortSampling, clients: [FederationClient], rounds: Int
  ) throws(ApusError) {
    try sampling.validate()
    guard !clients.isEmpty else {
      throw ApusError(
        .invalidConfig, at: "federation", "there are no clients", remedy: "Give at least one client"
      )
    }
    guard clients.indices.allSatisfy({ clients[$0].id.index == $0 }) else {
      throw ApusError(
        .invalidConfig, at: "federation", "the clients are not numbered from 0 in order",
        remedy: "Give each client its place in the list as its index")
    }
    let needsRows = sampling.kind == .weighted || sampling.kind == .uniformUnbiased
    guard !needsRows || clients.contains(where: { $0.sampleCount > 0 }) else {
      throw ApusError(
        .invalidConfig, at: "federation", "no client has a row to weight its probability by",
        remedy: "Use uniform sampling, or give the clients data")
    }
    self.sampling = sampling
    self.clients = clients
    fixed =
      sampling.kind == .fixed
      ? try Self.cohorts(in: sampling.cohortFile, clients: clients.count, rounds: rounds) : []
  }

  /// Clients whose reports a round waits for, at most.
  ///
  /// - Parameter drawn: Size of the round's cohort.
  /// - Returns: m; with over-selection less than were drawn.
  public func wanted(of drawn: Int) -> Int {
    sampling.overSelection > 0 ? min(drawn, sampling.cohortSize) : drawn
  }

  /// Whether weights carry the sampling's correction, so that their sum scales the server's step.
  public var scalesStep: Bool { sampling.kind == .uniformUnbiased }

  /// The cohort of a round, in order of the clients' index.
  public func cohort(of round: Round) -> [CohortMember] {
    var stream = round.random.substream("cohort")
    switch sampling.kind {
    case .uniform: return uniform(&stream).map { CohortMember(client: clients[$0]) }
    case .uniformUnbiased:
      let rows = Double(clients.reduce(0) { $0 + $1.sampleCount })
      let drawn = uniform(&stream)
      let scale = Double(clients.count) / Double(min(sampling.cohortSize, drawn.count)) / rows
      return drawn.map {
        CohortMember(client: clients[$0], weight: .fixed(Double(clients[$0].sampleCount) * scale))
      }
    case .poisson:
      return clients.filter { _ in stream.uniform() < sampling.rate }.map {
        CohortMember(client: $0)
      }
    case .weighted: return weighted(&stream)
    case .fixed: return fixed[round.index].map { CohortMember(client: clients[$0]) }
    }
  }

  /// ⌈(1 + ρ)·m⌉ different clients, at most all.
  private func uniform(_ stream: inout RandomStream) -> [Int] {
    let selected = (1 + sampling.overSelection) * Double(sampling.cohortSize)
    // A product such as 1.3 · 10 may lie one unit in the last place above its whole number.
    let count = Int(min(Double(clients.count), (selected - 1e-9).rounded(.up)))
    return stream.sample(count, below: clients.count)
  }

  /// m draws from the shares pₖ, found by bisection in their running sum.
  private func weighted(_ stream: inout RandomStream) -> [CohortMember] {
    var ends: [Int] = []
    for client in clients { ends.append((ends.last ?? 0) + client.sampleCount) }
    var times: [Int: Int] = [:]
    for _ in 0..<sampling.cohortSize {
      let row = stream.integer(below: ends.last ?? 1)
      var (low, high) = (0, ends.count - 1)
      while low < high {
        let middle = (low + high) / 2
        if ends[middle] > row { high = middle } else { low = middle + 1 }
      }
      times[low, default: 0] += 1
    }
    return times.sorted { $0.key < $1.key }.map {
      CohortMember(client: clients[$0.key], weight: .fixed(Double($0.value)))
    }
  }

  private static func cohorts(
    in file: String, clients: Int, rounds: Int
  ) throws(ApusError) -> [[Int]] {
    let root = try JSONNode(contentsOf: URL(fileURLWithPath: file))
    let lists = try root.array()
    guard lists.count >= rounds else {
      throw root.error(
        "the file has \(lists.count) cohorts for \(rounds) rounds",
        remedy: "Give one list of clients for each round")
    }
    var cohorts: [[Int]] = []
    for list in lists {
      var cohort: [Int] = []
      for node in try list.array() {
        let index = try node.int()
        guard (0..<clients).contains(index) else {
          throw node.error(
            "there is no client \(index)", remedy: "Give indices from 0 to \(clients - 1)")
        }
        cohort.append(index)
      }
      guard Set(cohort).count == cohort.count else {
        throw list.error("a client stands twice in one cohort", remedy: "Name each client once")
      }
      cohorts.append(cohort.sorted())
    }
    return cohorts
  }
}

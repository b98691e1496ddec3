import ApusBase
import Foundation

extension Partition {
  /// Compares the partition with what was declared, to catch what would fail silently.
  ///
  /// A draw cannot be predicted, but its strength can: the declared rule is followed a few times
  /// more on the same data with other chance, and the mean total variation of the labels and the
  /// Gini coefficient of the sizes must lie where those of the other draws lie.
  ///
  /// - Parameters:
  ///   - dataset: The data set that was divided.
  ///   - declared: The rule that the user asked for; nil checks ownership only.
  /// - Returns: One line per finding, with the names of the clients; empty if all is well.
  public func verify(
    against dataset: Dataset, declared: PartitionSpecification? = nil
  ) -> [String] {
    let findings = ownershipFindings(in: dataset)
    let existing = 0..<dataset.count
    guard let declared, clients.allSatisfy({ $0.positions.allSatisfy { existing.contains($0) } })
    else {
      return findings
    }
    return findings + countFindings(declared) + classFindings(in: dataset, declared)
      + keyFindings(in: dataset, declared) + skewFindings(in: dataset, declared)
  }

  private func ownershipFindings(in dataset: Dataset) -> [String] {
    var findings: [String] = []
    if exampleCount != dataset.count {
      findings.append(
        "the partition was made for \(exampleCount) examples, but \(dataset.name) has "
          + "\(dataset.count)")
    }
    let names = Dictionary(grouping: clients, by: \.name).filter { $0.value.count > 1 }
    for name in names.keys.sorted() { findings.append("several clients are called \(name)") }
    var owner: [Int: String] = [:]
    for client in clients {
      if client.positions.isEmpty { findings.append("\(client.name) has no examples") }
      if let outside = client.positions.first(where: { !(0..<dataset.count).contains($0) }) {
        findings.append("\(client.name) refers to example \(outside), which does not exist")
      }
      let shared = client.positions.filter { owner[$0] != nil }
      if let first = shared.first {
        findings.append(
          "\(client.name) shares \(shared.count) examples with others, such as \(first) with "
            + (owner[first] ?? ""))
      }
      let different = Set(client.positions)
      if different.count < client.positions.count {
        let repeated = client.positions.count - different.count
        findings.append("\(client.name) has \(repeated) examples more than once")
      }
      for position in different { owner[position] = client.name }
    }
    let missing = (0..<dataset.count).count { owner[$0] == nil }
    if missing > 0 {
      findings.append("\(missing) of \(dataset.count) examples belong to no client")
    }
    return findings
  }

  private func countFindings(_ declared: PartitionSpecification) -> [String] {
    var findings: [String] = []
    if let count = declared.clients, count != clients.count {
      findings.append("\(count) clients were declared, but there are \(clients.count)")
    }
    if let minimum = declared.minimum {
      for client in clients where client.positions.count < minimum {
        findings.append(
          "\(client.name) has \(client.positions.count) examples, below the declared \(minimum)")
      }
    }
    return findings
  }

  /// Clients with more classes than their shards allow, or not exactly the classes declared.
  private func classFindings(in dataset: Dataset, _ declared: PartitionSpecification) -> [String] {
    let isExact = declared.kind == .classesPerClient
    guard isExact || declared.kind == .shards, let labels = try? dataset.labels() else { return [] }
    let allowed = declared.perClient ?? LabelShards(clients: 1).perClient
    return clients.compactMap { client in
      let classes = Set(client.positions.map { labels[$0] }).count
      guard isExact ? classes != allowed : classes > allowed else { return nil }
      return "\(client.name) has \(classes) classes, declared were \(isExact ? "" : "at most ")"
        + "\(allowed)"
    }
  }

  private func keyFindings(in dataset: Dataset, _ declared: PartitionSpecification) -> [String] {
    guard declared.kind == .natural else { return [] }
    return clients.compactMap { client in
      let foreign = client.positions.count { dataset.examples[$0].client != client.name }
      return foreign == 0 ? nil : "\(client.name) has \(foreign) examples of other owners"
    }
  }

  private func skewFindings(in dataset: Dataset, _ declared: PartitionSpecification) -> [String] {
    guard declared.kind != .natural, declared.kind != .file, !clients.isEmpty else { return [] }
    var samples: [Partition] = []
    var failures = 0
    for draw in 0..<8 {
      let random = RandomStream(seed: 0).substream("partition check", draw)
      do throws(ApusError) {
        samples.append(try declared.makePartitioner().partition(dataset, random: random))
      } catch {
        // A minimum that is hard to reach fails now and then; one out of reach always.
        failures += 1
        guard failures < 3 || !samples.isEmpty else {
          return ["the declared partition could not be made of this data again: \(error)"]
        }
      }
    }
    var findings: [String] = []
    let kind = declared.kind.rawValue + (declared.concentration.map { " (\($0))" } ?? "")
    func compare(_ what: String, _ measure: (Partition) -> Double) {
      let expected = samples.map(measure)
      let mean = expected.reduce(0, +) / Double(expected.count)
      let variance = expected.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(expected.count)
      let found = measure(self)
      // A mean of K numbers in 0…1 spreads by 0.5 / √K at most; a few draws know less of it.
      let tolerance = 0.5 / Double(clients.count).squareRoot() + 3 * variance.squareRoot()
      guard abs(found - mean) > tolerance else { return }
      findings.append(
        "the \(what) is \(Self.rounded(found)), but \(kind) gives about \(Self.rounded(mean)) "
          + "on this data")
    }
    compare("Gini coefficient of the client sizes") { HeterogeneityReport.gini($0.sizes) }
    if let labels = try? dataset.labels() {
      compare("mean total variation of the labels") {
        LabelDistribution.meanTotalVariation(
          $0.labelCounts(labels, classes: dataset.labelNames.count))
      }
    }
    return findings
  }

  private static func rounded(_ value: Double) -> String {
    String(format: "%.2f", value)
  }
}

import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite struct PartitionLaws {
  static let specifications = [
    PartitionSpecification(.natural),
    PartitionSpecification(.iid, clients: 13),
    PartitionSpecification(.dirichletByClass, clients: 13, concentration: 0.5, minimum: 5),
    PartitionSpecification(.dirichletByClass, clients: 4, concentration: 0.001, minimum: 0),
    PartitionSpecification(.dirichletByClient, clients: 13, concentration: 0.3),
    PartitionSpecification(.dirichletByClient, clients: 13, concentration: 1e-6),
    PartitionSpecification(.shards, clients: 13, perClient: 2),
    PartitionSpecification(.classesPerClient, clients: 13, perClient: 3),
    PartitionSpecification(.quantity, clients: 13, concentration: 0.2),
    PartitionSpecification(.quantity, clients: 13, exponent: 1.5, minimum: 3),
  ]

  private func data() throws -> Dataset {
    try makeDataset([151, 90, 230, 77, 64], owners: ["ann", "bob", "eve"])
  }

  @Test(arguments: specifications, 0..<10)
  func `every example has exactly one owner`(
    specification: PartitionSpecification, seed: UInt64
  ) throws {
    let data = try data()
    let partition = try specification.makePartitioner()
      .partition(data, random: RandomStream(seed: seed))
    #expect(partition.clients.flatMap(\.positions).sorted() == Array(0..<data.count))
    #expect(partition.sizes.reduce(0, +) == data.count)
    #expect(partition.remainder.isEmpty)
    #expect(partition.clients.allSatisfy { $0.positions == $0.positions.sorted() })
    #expect(Set(partition.clients.map(\.name)).count == partition.clients.count)
    #expect(partition.clients.count == specification.clients ?? 3)
    #expect(partition.sizes.allSatisfy { $0 >= specification.minimum ?? 0 })
  }

  @Test(arguments: specifications)
  func `the seed alone decides`(specification: PartitionSpecification) throws {
    let (data, partitioner) = (try data(), try specification.makePartitioner())
    let partitions = try (0..<3).map {
      try partitioner.partition(data, random: RandomStream(seed: $0))
    }
    #expect(try partitioner.partition(data, random: RandomStream(seed: 1)) == partitions[1])
    #expect((Set(partitions).count == 3) == (specification.kind != .natural))
  }

  @Test(arguments: specifications)
  func `a specification survives its JSON`(specification: PartitionSpecification) throws {
    let json = try JSONEncoder().encode(specification)
    #expect(try JSONDecoder().decode(PartitionSpecification.self, from: json) == specification)
  }

  @Test(arguments: 0..<10)
  func `equal sizes differ by at most one`(seed: UInt64) throws {
    for kind in [PartitionSpecification.Kind.iid, .dirichletByClient] {
      let sizes = try PartitionSpecification(kind, clients: 13).makePartitioner()
        .partition(data(), random: RandomStream(seed: seed)).sizes
      #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    }
  }

  @Test(arguments: 0..<20)
  func `a shard lies within one class`(seed: UInt64) throws {
    let data = try data()
    let report = try HeterogeneityReport(
      LabelShards(clients: 10, perClient: 2).partition(data, random: RandomStream(seed: seed)),
      of: data)
    for counts in report.labelCounts { #expect(counts.count { $0 > 0 } <= 2) }
  }

  @Test(arguments: 0..<20, [1, 2, 5])
  func `every client has exactly the classes asked for`(seed: UInt64, perClient: Int) throws {
    let data = try data()
    let partition = try ClassesPerClient(clients: 7, perClient: perClient)
      .partition(data, random: RandomStream(seed: seed))
    let report = try HeterogeneityReport(partition, of: data)
    for counts in report.labelCounts { #expect(counts.count { $0 > 0 } == perClient) }
    let holders = data.labelNames.indices.map { label in
      report.labelCounts.count { $0[label] > 0 }
    }
    #expect((holders.max() ?? 0) - (holders.min() ?? 0) <= 1)
  }

  @Test func `classes that nobody chose are the remainder`() throws {
    let data = try data()
    let partition = try ClassesPerClient(clients: 2, perClient: 1)
      .partition(data, random: RandomStream(seed: 1))
    #expect(partition.remainder.count == data.count - partition.sizes.reduce(0, +))
    #expect(partition.remainder.count > 0)
  }

  @Test func `owners below the minimum are left out`() throws {
    let data = try makeDataset([50, 50], owners: ["ann", "bob", "ann"])
    let partition = try NaturalPartitioner(minimum: 40)
      .partition(data, random: RandomStream(seed: 1))
    #expect(partition.clients.map(\.name) == ["ann"])
    #expect(partition.remainder.count == 33)
  }

  @Test(arguments: [
    (PartitionSpecification(.iid, clients: 0), "clients: 0 clients cannot hold data"),
    (PartitionSpecification(.iid, clients: 1000), "do not give 1000 clients 1 each"),
    (PartitionSpecification(.iid), "clients: the kind \"iid\" needs this option"),
    (PartitionSpecification(.iid, clients: 2, minimum: 1), "minimum: the kind \"iid\" has no such"),
    (PartitionSpecification(.dirichletByClass, clients: 5, concentration: 0), "0.0 is not a"),
    (PartitionSpecification(.dirichletByClass, clients: 5, concentration: .nan), "nan is not a"),
    (PartitionSpecification(.dirichletByClass, clients: 60, concentration: 0.01), "no draw of"),
    (PartitionSpecification(.dirichletByClass, clients: 5, minimum: -1), "-1 is negative"),
    (PartitionSpecification(.shards, clients: 2, perClient: 1), "cannot cover 5 classes"),
    (PartitionSpecification(.shards, clients: 2, perClient: 0), "0 shards hold no data"),
    (PartitionSpecification(.classesPerClient, clients: 2, perClient: 6), "5 classes, not 6"),
    (PartitionSpecification(.quantity, clients: 2), "either a concentration or an exponent"),
    (PartitionSpecification(.quantity, clients: 2, exponent: -1), "-1.0 is not a finite"),
    (PartitionSpecification(.natural, minimum: 10_000), "none of the 3 owners has 10000"),
    (PartitionSpecification(.file), "file: the kind \"file\" needs this option"),
  ])
  func `a rule that cannot be followed is answered`(
    specification: PartitionSpecification, problem: String
  ) throws {
    let data = try data()
    let error = try failure {
      try specification.makePartitioner().partition(data, random: RandomStream(seed: 1))
    }
    #expect(error.code == .invalidConfig)
    #expect(error.description.contains(problem), "\(error)")
  }

  @Test func `data without labels or owners is answered`() throws {
    let place = SourcePlace(file: "a.csv", line: 2)
    let data = try Dataset(name: "a.csv", examples: [Example(text: "x", source: place)])
    let labels = try failure {
      try LabelShards(clients: 1, perClient: 1).partition(data, random: RandomStream(seed: 1))
    }
    #expect(labels.problem.contains("no labels"))
    let owners = try failure {
      try NaturalPartitioner().partition(data, random: RandomStream(seed: 1))
    }
    #expect(owners.description.contains("a.csv:2: the example has no client"))
  }
}

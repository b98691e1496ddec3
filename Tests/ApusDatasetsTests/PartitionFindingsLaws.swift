import ApusBase
import ApusDatasets
import Testing

@Suite struct PartitionFindingsLaws {
  private func data() throws -> Dataset {
    try makeDataset([300, 300, 300, 300], owners: ["ann", "bob"])
  }

  private func client(_ name: String, _ positions: some Sequence<Int>) -> Partition.Client {
    Partition.Client(name: name, positions: Array(positions))
  }

  @Test(arguments: PartitionLaws.specifications, 0..<5)
  func `a partition that is what it says has no findings`(
    specification: PartitionSpecification, seed: UInt64
  ) throws {
    let data = try makeDataset([151, 90, 230, 77, 64], owners: ["ann", "bob", "eve"])
    let partition = try specification.makePartitioner()
      .partition(data, random: RandomStream(seed: seed))
    let findings = partition.verify(against: data, declared: specification)
    #expect(findings.filter { !$0.contains("has no examples") } == [])
  }

  @Test func `broken ownership is named`() throws {
    let data = try makeDataset([5, 5])
    let partition = Partition(
      clients: [
        client("ann", [0, 1, 1]), client("bob", []), client("eve", [1, 2, 12]),
        client("eve", [3]),
      ], exampleCount: 11)
    #expect(
      partition.verify(against: data) == [
        "the partition was made for 11 examples, but memory has 10",
        "several clients are called eve",
        "ann has 1 examples more than once",
        "bob has no examples",
        "eve refers to example 12, which does not exist",
        "eve shares 1 examples with others, such as 1 with ann",
        "6 of 10 examples belong to no client",
      ])
  }

  @Test(arguments: [
    (
      PartitionSpecification(.dirichletByClass, clients: 6, concentration: 0.1),
      PartitionSpecification(.iid, clients: 6), "mean total variation"
    ),
    (
      PartitionSpecification(.dirichletByClient, clients: 6, concentration: 0.1),
      PartitionSpecification(.iid, clients: 6), "mean total variation"
    ),
    (
      PartitionSpecification(.iid, clients: 6),
      PartitionSpecification(.shards, clients: 6, perClient: 2), "mean total variation"
    ),
    (
      PartitionSpecification(.quantity, clients: 6, exponent: 2),
      PartitionSpecification(.iid, clients: 6), "Gini coefficient"
    ),
    (
      PartitionSpecification(.iid, clients: 6),
      PartitionSpecification(.quantity, clients: 6, exponent: 2), "Gini coefficient"
    ),
    (
      PartitionSpecification(.shards, clients: 6, perClient: 2),
      PartitionSpecification(.iid, clients: 6), "client-0 has 4 classes, declared were at most 2"
    ),
    (
      PartitionSpecification(.classesPerClient, clients: 6, perClient: 3),
      PartitionSpecification(.classesPerClient, clients: 6, perClient: 2),
      "client-0 has 2 classes, declared were 3"
    ),
    (
      PartitionSpecification(.natural), PartitionSpecification(.iid, clients: 2),
      "client-0 has 600 examples of other owners"
    ),
    (
      PartitionSpecification(.iid, clients: 5), PartitionSpecification(.iid, clients: 6),
      "5 clients were declared, but there are 6"
    ),
    (
      PartitionSpecification(.dirichletByClass, clients: 6, minimum: 250),
      PartitionSpecification(.iid, clients: 6), "client-0 has 200 examples, below the declared 250"
    ),
  ])
  func `a partition that is not what was declared is found out`(
    declared: PartitionSpecification, actual: PartitionSpecification, finding: String
  ) throws {
    let data = try data()
    let partition = try actual.makePartitioner().partition(data, random: RandomStream(seed: 5))
    let findings = partition.verify(against: data, declared: declared)
    #expect(findings.contains { $0.contains(finding) }, "\(findings)")
  }

  @Test func `a minimum that is hard to reach is no finding by itself`() throws {
    let declared = PartitionSpecification(
      .dirichletByClass, clients: 10, concentration: 0.1, minimum: 3)
    let data = try makeDataset([100, 100, 100, 100])
    let partition = try declared.makePartitioner().partition(data, random: RandomStream(seed: 1))
    #expect(partition.verify(against: data, declared: declared).isEmpty)
    var unreachable = declared
    unreachable.minimum = 39
    let findings = partition.verify(against: data, declared: unreachable)
    #expect(findings.last?.hasPrefix("the declared partition could not be made") == true)
  }
}

import ApusBase
import ApusDatasets
import Testing

@Suite struct SplitLaws {
  @Test(arguments: 0..<10, [(0.0, 0.0), (0.1, 0.2), (0.0, 0.25), (0.3, 0.65)])
  func `the parts are disjoint and together the whole`(
    seed: UInt64, shares: (validation: Double, test: Double)
  ) throws {
    let data = try makeDataset([100, 50, 10])
    let split = try data.split(
      fractions: SplitFractions(validation: shares.validation, test: shares.test),
      random: RandomStream(seed: seed))
    #expect((split.train + split.validation + split.test).sorted() == Array(0..<160))
    #expect(abs(Double(split.test.count) - 160 * shares.test) <= 1)
    #expect(abs(Double(split.validation.count) - 160 * shares.validation) <= 1)
    for label in 0..<3 {
      let size = Double([100, 50, 10][label])
      let held = split.test.count { data.examples[$0].label == label }
      #expect(abs(Double(held) - size * shares.test) <= 1)
    }
  }

  @Test func `the seed alone decides`() throws {
    let data = try makeDataset([50, 50])
    let splits = try [1, 1, 2].map {
      try data.split(fractions: SplitFractions(test: 0.2), random: RandomStream(seed: $0))
    }
    #expect(splits[0] == splits[1])
    #expect(splits[0] != splits[2])
  }

  @Test(arguments: 0..<6)
  func `few examples train first, then test`(count: Int) throws {
    let data = try makeDataset([10])
    let split = try data.split(
      Array(0..<count), fractions: SplitFractions(validation: 0.1, test: 0.1),
      random: RandomStream(seed: 1))
    #expect(split.train.count >= min(count, 1))
    #expect((split.test.count > 0) == (count >= 3))
    #expect((split.validation.count > 0) == (count >= 2))
  }

  @Test(arguments: [(-0.1, 0.0), (0.0, 1.0), (0.5, 0.5), (.nan, 0.0), (0.0, .infinity)])
  func `shares that leave nothing are answered`(validation: Double, test: Double) throws {
    let data = try makeDataset([10])
    let error = try failure {
      try data.split(
        fractions: SplitFractions(validation: validation, test: test),
        random: RandomStream(seed: 1))
    }
    #expect(error.code == .invalidConfig)
    #expect(error.location.hasPrefix("split"))
  }
}

@Suite struct FederatedDatasetLaws {
  private let random = RandomStream(seed: 4)

  @Test func `a given test set leaves all data to the clients`() throws {
    let (data, test) = (try makeDataset([60, 60]), try makeDataset([5, 5]))
    let federated = try FederatedDataset(
      data, partitioner: IIDPartitioner(clients: 4), testPolicy: .given(test), validation: 0.1,
      random: random)
    #expect(federated.test.count == 10)
    #expect(federated.clients.allSatisfy { $0.split.test.isEmpty })
    #expect(federated.clients.allSatisfy { $0.split.validation.count == 3 })
    #expect(federated.clients.reduce(0) { $0 + $1.split.train.count } == 108)
  }

  @Test func `a given test set must have the same classes`() throws {
    let (data, test) = (try makeDataset([60, 60]), try makeDataset([5, 5, 5]))
    let error = try failure {
      try FederatedDataset(
        data, partitioner: IIDPartitioner(clients: 4), testPolicy: .given(test), random: random)
    }
    #expect(error.remedy.contains("class names of the training file"))
  }

  @Test func `held-out examples belong to no client and have the mix of all`() throws {
    let data = try makeDataset([90, 30])
    let declared = PartitionSpecification(.shards, clients: 4)
    let federated = try FederatedDataset(
      data, partitioner: declared.makePartitioner(), testPolicy: .holdOut(fraction: 0.2),
      random: random)
    #expect(federated.dataset.count == 96)
    let held = Set(federated.test.examples.map(\.text))
    #expect(held.isDisjoint(with: federated.dataset.examples.map(\.text)))
    #expect(federated.test.examples.count { $0.label == 0 } == 18)
    #expect(federated.partition.verify(against: federated.dataset, declared: declared).isEmpty)
  }

  @Test(arguments: 0..<10)
  func `each client's own test set has its own skew`(seed: UInt64) throws {
    let data = try makeDataset([200, 200, 200])
    let federated = try FederatedDataset(
      data, partitioner: DirichletByClass(clients: 5, concentration: 0.3),
      testPolicy: .perClient(fraction: 0.25), validation: 0.1, random: RandomStream(seed: seed))
    for (client, owned) in zip(federated.clients, federated.partition.clients) {
      let split = client.split
      #expect((split.train + split.validation + split.test).sorted() == owned.positions)
      for label in 0..<3 {
        func count(_ positions: [Int]) -> Double {
          Double(positions.count { data.examples[$0].label == label })
        }
        #expect(abs(count(split.test) - 0.25 * count(owned.positions)) <= 1)
      }
    }
    #expect(federated.test.count == federated.clients.reduce(0) { $0 + $1.split.test.count })
  }
}

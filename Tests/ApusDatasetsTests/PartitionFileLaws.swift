import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite struct PartitionFileLaws {
  @Test(arguments: 0..<5)
  func `a partition survives its file`(seed: UInt64) throws {
    let data = try makeDataset([40, 60])
    let partition = try DirichletByClass(clients: 12, minimum: 1)
      .partition(data, random: RandomStream(seed: seed))
    try withFile("partition.json", []) { url in
      try PartitionFile(url).write(partition)
      #expect(try PartitionFile(url).partition(data, random: RandomStream(seed: 9)) == partition)
    }
  }

  @Test(arguments: [
    ("[[0, 1], [2, 50]]", "partition.json, [1][1]: position 50 is not in 0..<10"),
    ("[[0, 1], [2, -1]]", "partition.json, [1][1]: position -1 is not in 0..<10"),
    ("[[0, 1], [2, 0]]", "partition.json, [1][1]: position 0 is already in list [0]"),
    ("[[0, 0]]", "partition.json, [0][1]: position 0 is already in this list"),
    ("[[0], 5]", "partition.json, [1]: expected an array, found a number"),
    ("[[0.5]]", "partition.json, [0][0]: expected a whole number"),
    ("{}", "partition.json: expected an array, found an object"),
    ("[]", "partition.json: there are no clients"),
    ("[[0", "partition.json: this is not valid JSON"),
  ])
  func `a bad file is named with the list`(text: String, problem: String) throws {
    let data = try makeDataset([5, 5])
    let error = try failure {
      try withFile("partition.json", text.utf8) { url in
        try PartitionFile(url).partition(data, random: RandomStream(seed: 1))
      }
    }
    #expect(error.description.contains(problem), "\(error)")
  }

  @Test func `empty lists are read and reported`() throws {
    let data = try makeDataset([2, 2])
    try withFile("partition.json", "[[3, 0], [], [1]]".utf8) { url in
      let partition = try PartitionFile(url).partition(data, random: RandomStream(seed: 1))
      #expect(partition.clients.map(\.positions) == [[0, 3], [], [1]])
      #expect(
        partition.verify(against: data) == [
          "client-1 has no examples", "1 of 4 examples belong to no client",
        ])
    }
  }
}

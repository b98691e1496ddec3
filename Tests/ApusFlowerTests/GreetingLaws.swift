import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import Foundation
import Testing

@testable import ApusFlower

/// A runner of a site that nobody asks for anything.
private struct IdleRunner: ClientRunner {
  let workers = 1

  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer { ClientAnswer(update: brief, state: nil) }

  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics { [:] }

  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums { [:] }
}

/// What machines have to have in common, and what stays on each of them.
@Suite struct GreetingLaws {
  private func greeting(_ settings: [String: String]) -> Greeting {
    Greeting(settings: ["method.name": "fedbiot"].merging(settings) { $1 }, seed: 1)
  }

  @Test(arguments: [
    "data.public-rows.file", "data.public-rows.max-rows", "data.public-rows.columns.text",
    "federation.sampling.cohort-file",
  ])
  func `what the server alone reads is not sent, nor asked of clients`(key: String) throws {
    let (server, client) = (greeting([key: "/srv/secret"]), greeting([:]))
    try server.requireSame(as: client)
    try client.requireSame(as: server)
    #expect(server.fingerprint == client.fingerprint)
    #expect(try #require(Greeting(server.content)).settings == ["method.name": "fedbiot"])
  }

  @Test func `any other setting that one machine lacks is named`() {
    let (server, client) = (greeting(["data.public": "1"]), greeting([:]))
    for (one, other) in [(server, client), (client, server)] {
      let error = #expect(throws: ApusError.self) { try one.requireSame(as: other) }
      #expect(error?.location == "data.public")
    }
  }

  @Test func `a file that all must agree on is compared by what is in it`() throws {
    let folder = try TemporaryFolder()
    func greeting(_ name: String, _ contents: String) throws -> Greeting {
      let file = folder(name)
      try Data(contents.utf8).write(to: file)
      let site = FlowerSite(
        settings: ["data.partition.file": name], seed: 1, rounds: 1, clients: [],
        runner: IdleRunner())
      return try site.comparing(contentsOf: ["data.partition.file": file]).greeting
    }
    let server = try greeting("server.json", "[[0], [1]]")
    try server.requireSame(as: greeting("client.json", "[[0], [1]]"))
    #expect(try #require(Greeting(server.content)).settings.values.allSatisfy { $0.count == 64 })
    let other = try greeting("server.json", "[[1], [0]]")
    let error = #expect(throws: ApusError.self) { try server.requireSame(as: other) }
    #expect(error?.location == "data.partition.file")
    #expect(server.fingerprint != other.fingerprint)
    let missing = #expect(throws: ApusError.self) {
      try FlowerSite(settings: [:], seed: 1, rounds: 1, clients: [], runner: IdleRunner())
        .comparing(contentsOf: ["data.partition.file": folder("none")])
    }
    #expect(missing?.code == .fileAccess)
  }
}

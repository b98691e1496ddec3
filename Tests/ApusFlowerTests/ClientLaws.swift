import ApusBase
import ApusCore
import ApusSimulation
import ApusTestSupport
import Foundation
import Testing

@testable import ApusFlower

/// A runner that answers with the brief, and counts rounds in the client's state.
private struct EchoRunner: ClientRunner {
  let workers = 1
  var fails = false

  func run(
    _ client: ClientID, brief: Data, round: Round, state: Data?
  ) async throws -> ClientAnswer {
    if fails { throw ApusError(.nonFinite, at: "loss", "it is NaN", remedy: "Lower the rate") }
    return ClientAnswer(update: brief, state: (state ?? Data()) + [UInt8(round.index)])
  }

  func evaluate(
    _ client: ClientID, brief: Data, split: DataSplit, round: Round, state: Data?
  ) async throws -> Metrics {
    ["states": Double(state?.count ?? 0)]
  }

  func evaluate(
    global: Data, split: DataSplit, shard: Int, of shards: Int
  ) async throws -> MetricSums { [:] }
}

@Suite struct ClientLaws {
  private let link = TestLink()
  private let folder: TemporaryFolder
  private let id = ClientID(index: 2, name: "two")

  init() throws { folder = try TemporaryFolder() }

  private func client(fails: Bool = false) -> FlowerClient {
    let site = FlowerSite(
      settings: ["training.learning-rate": "0.1"], seed: 3, rounds: 4,
      clients: (0..<4).map {
        FederationClient(
          id: ClientID(index: $0, name: "\($0)"), sampleCount: 10 + $0, localSteps: 1)
      },
      runner: EchoRunner(fails: fails))
    return FlowerClient(
      states: folder("states"), site: site, remake: { _ in site }, report: { _ in })
  }

  private func instruct(_ content: FlowerContent, _ type: String = "train.apus") async throws {
    await link.set {
      var place = Flwr_Proto_Scalar()
      place.sint64 = 2
      $0.nodeConfig["partition-id"] = place
    }
    try await link.deliver(
      FlowerMessage(
        type, to: 9, from: FlowerTaskInfo(runID: 7, taskID: 5), group: "1", lifetime: 600,
        content: content))
  }

  /// What the latest reply carries.
  private func reply() async throws -> FlowerContent {
    switch try await link.message(await link.announced.count - 1).payload {
    case .content(let content): return content
    case .error(let failure):
      throw ApusError(.runState, at: "reply", failure.text, remedy: "None")
    }
  }

  private func train(_ round: Int, state: Data?) throws -> FlowerContent {
    FlowerContent(
      try .train(
        id, brief: Data("brief".utf8),
        round: Round(index: round, total: 4, root: RandomStream(seed: 3)), state: state))
  }

  @Test func `a task runs through its calls in Flower's order, input and message back to back`()
    async throws
  {
    try await instruct(try train(0, state: nil))
    try await client().serve(testSession(link))
    let besides = ["pull-object", "push-object", "acquire-task", "send-task-heartbeat"]
    let calls = await link.calls.filter { !besides.contains($0) }
    #expect(
      calls == [
        "openapi.json", "pull-task-input", "pull-messages", "confirm-message-received",
        "push-messages", "push-task-output",
      ])
    #expect(await link.outputs.map(\.subStatus) == ["completed"])
    #expect(await link.headers["flwr-task-token"] == "token")
    #expect(await link.headers["flwr-package-version"] == "1.41.0")
  }

  @Test func `a reply goes back where the instruction came from, within its lifetime`()
    async throws
  {
    try await instruct(try train(0, state: nil))
    try await client().serve(testSession(link))
    let metadata = try await link.message(0).metadata
    #expect(metadata.srcNodeID == 9 && metadata.dstNodeID == 1 && metadata.runID == 7)
    #expect(metadata.messageType == "train.apus" && metadata.groupID == "1")
    #expect(!metadata.replyToMessageID.isEmpty)
    #expect(metadata.dstTaskID == 5 && !metadata.hasSrcTaskID)
    #expect(metadata.ttl > 0 && metadata.ttl <= 600)
  }

  @Test func `the bytes that the method encoded are those that cross`() async throws {
    try await instruct(try train(0, state: nil))
    try await client().serve(testSession(link))
    let answer = try #require(try await reply().frame()).clientAnswer()
    #expect(answer.update == Data("brief".utf8))
  }

  @Test func `a state stays on the client; its receipt crosses and finds it again`() async throws {
    try await instruct(try train(0, state: nil))
    try await client().serve(testSession(link))
    let first = try #require(try await reply().frame()).clientAnswer().state
    #expect(try #require(first).count < 100 && first != Data([0]))
    // A round that the server did not commit leaves the state of the first where it was.
    for _ in 1...2 {
      try await instruct(try train(1, state: first))
      try await client().serve(testSession(link))
      let again = try #require(try await reply().frame()).clientAnswer().state
      let question = try WorkerFrame.evaluate(
        id, brief: Data(), split: .test,
        round: Round(index: 1, total: 4, root: RandomStream(seed: 3)), state: again)
      try await instruct(FlowerContent(question), "evaluate.apus")
      try await client().serve(testSession(link))
      #expect(try #require(try await reply().frame()).numbers() == ["states": 2])
    }
  }

  @Test func `a state that is gone is said to be, and nothing is trained`() async throws {
    let receipt = Data("apus state \(String(repeating: "a", count: 64))".utf8)
    try await instruct(try train(1, state: receipt))
    try await client().serve(testSession(link))
    let error = await #expect(throws: ApusError.self) { try await reply() }
    #expect(error?.problem.contains("gone or damaged") == true)
  }

  @Test func `what a client throws is its answer, and reaches the server as it was`() async throws {
    try await instruct(try train(0, state: nil))
    try await client(fails: true).serve(testSession(link))
    let frame = try #require(try await reply().frame())
    let error = #expect(throws: ApusError.self) { try frame.clientAnswer() }
    #expect(error?.code == .nonFinite && error?.problem == "it is NaN")
  }

  @Test func `a message that cannot be worked with gets an error, never silence`() async throws {
    try await instruct(FlowerContent([("arrays", .config([]))]), "train")
    try await client().serve(testSession(link))
    #expect(await link.announced.first?.hasError == true)
    #expect(await link.announced.first?.error.code == 2)
    #expect(await link.outputs.map(\.subStatus) == ["failed"])
  }

  @Test(arguments: [Int.min, -1, Int.max])
  func `a round that there cannot be gets an error, never a trap`(round: Int) async throws {
    let config: FlowerContent.Values = [(ArrayContent.roundKey, .int(round))]
    try await instruct(
      FlowerContent([("arrays", .arrays([])), ("config", .config(config))]), "train")
    try await client().serve(testSession(link))
    #expect(await link.announced.last?.error.reason.contains("server-round") == true)
    let moment = "{\"index\": \(round), \"total\": \(Int.min)}"
    let head = "{\"train\": {\"_0\": {\"index\": 2, \"name\": \"two\"}, \"_1\": \(moment)}}"
    let frame = WorkerFrame(head: Data(head.utf8), parts: [Data()])
    #expect(frame.askedClient == 2)
    try await instruct(FlowerContent(frame))
    try await client().serve(testSession(link))
    let answer = try #require(try await reply().frame())
    let error = #expect(throws: ApusError.self) { try answer.clientAnswer() }
    #expect(error?.problem.contains("there is no round") == true)
  }

  @Test func `a task that the SuperNode gave up is left without a reply for the next one`()
    async throws
  {
    try await instruct(try train(0, state: nil))
    await link.set { $0.withholdsObjects = true }
    await link.set { $0.offers = ["next"] }
    #expect(try await client().serve(testSession(link)) == "next")
    #expect(await link.outputs.map(\.subStatus) == ["failed"])
    #expect(await link.announced.isEmpty)
    await link.set { $0.withholdsObjects = false }
    try await instruct(try train(0, state: nil))
    #expect(try await client().serve(testSession(link)) == nil)
    #expect(await link.announced.count == 1)
  }

  @Test(arguments: [401, 500, 503])
  func `the next task is done, whatever becomes of the one that was given up`(
    status: Int
  ) async throws {
    try await instruct(try train(0, state: nil))
    await link.set { $0.withholdsObjects = true }
    await link.set { $0.offers = ["next"] }
    await link.set { $0.refusals["push-task-output"] = [status, status, status] }
    #expect(try await client().serve(testSession(link)) == "next")
    #expect(await link.outputs.isEmpty)
  }

  @Test func `asking for another task in vain does not end the one at hand`() async throws {
    try await instruct(try train(0, state: nil))
    await link.set { $0.withholdsObjects = true }
    await link.set { $0.refusals["acquire-task"] = [503, 502] }
    await link.set { $0.offers = ["next"] }
    #expect(try await client().serve(testSession(link)) == "next")
    #expect(await link.calls.count { $0 == "acquire-task" } == 3)
  }

  @Test func `a damaged instruction gets an error, never silence`() async throws {
    try await link.deliver(
      FlowerMessage(ObjectLaws.metadata, .content(ObjectLaws.content)), corrupting: true)
    try await client().serve(testSession(link))
    #expect(await link.announced.first?.error.reason.contains("SHA-256") == true)
  }

  @Test func `a task whose reply cannot be pushed is not finished, so that Flower reports it lost`()
    async throws
  {
    try await instruct(try train(0, state: nil))
    await link.set { $0.storesObjects = false }
    let session = try await testSession(link)
    await #expect(throws: ApusError.self) { try await client().serve(session) }
    #expect(await link.outputs.isEmpty)
  }

  @Test func `another experiment is refused by the setting that differs`() async throws {
    let greeting = Greeting(settings: ["training.learning-rate": "0.2"], seed: 3)
    try await instruct(greeting.content, Greeting.messageType)
    try await client().serve(testSession(link))
    #expect(
      await link.announced.first?.error.reason.hasPrefix(
        "training.learning-rate: the server has 0.2, this client 0.1") == true)
  }

  @Test func `a client introduces itself by place, name and size alone`() async throws {
    let greeting = Greeting(settings: ["training.learning-rate": "0.1"], seed: 3)
    try await instruct(greeting.content, Greeting.messageType)
    try await client().serve(testSession(link))
    let content = try await reply()
    let introduction = try Introduction(content)
    #expect(introduction.index == 2 && introduction.sampleCount == 12)
    #expect(content.config.count == 3)
  }

  @Test func `a stock strategy gets arrays and num-examples back`() async throws {
    try await instruct(ObjectLaws.content, "train")
    try await client().serve(testSession(link))
    let content = try await reply()
    #expect(content.records.map(\.name) == ["arrays", "metrics"])
    #expect(content.arrays()?.first?.array == ObjectLaws.array)
    #expect(content.metrics["num-examples"] == .int(12))
  }
}

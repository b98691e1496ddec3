import ApusBase
import ApusCore
import ApusSimulation
import Foundation
import Testing

@testable import ApusFlower

@Suite struct ServerLaws {
  private let link = TestLink()
  private let task = FlowerTaskInfo(runID: 7, taskID: 5)

  private func mailbox() async throws -> Mailbox {
    Mailbox(MessageTransfer(session: try await testSession(link), node: 1, run: 7))
  }

  /// Asks a node, and lets `answer` do what the node and its SuperLink do meanwhile.
  private func ask(
    within patience: Duration = .seconds(600),
    _ answer: @escaping @Sendable (Flwr_Proto_Metadata) async throws -> Void
  ) async throws -> FlowerContent {
    let mailbox = try await mailbox()
    let instruction = FlowerMessage(
      "train", to: 9, from: task, group: "1", lifetime: 600, content: ObjectLaws.content)
    return try await firstOf(
      body: { try await mailbox.ask(instruction, by: .now + patience, place: "round 0, nine") },
      beside: [
        {
          var isAnswered = false
          while true {
            await Task.yield()
            if !isAnswered, let metadata = await link.announced.last?.metadata {
              try await answer(metadata)
              isAnswered = true
            }
            try await mailbox.look()
            try Task.checkCancellation()
          }
        }
      ])
  }

  @Test func `an answer finds whoever asked, and Flower may forget it`() async throws {
    let content = try await ask { metadata in
      try await link.deliver(FlowerMessage(to: metadata, .content(ObjectLaws.content)))
    }
    #expect(content.metrics["num-examples"] == .int(10))
    #expect(await link.calls.last == "confirm-message-received")
  }

  @Test func `a second answer is left alone`() async throws {
    let content = try await ask { metadata in
      try await link.deliver(FlowerMessage(to: metadata, .content(ObjectLaws.content)))
      try await link.deliver(FlowerMessage(to: metadata, .content(FlowerContent())))
    }
    #expect(content.records.count == 3)
    #expect(await link.calls.count { $0 == "confirm-message-received" } == 1)
  }

  @Test func `a damaged answer is refused`() async throws {
    let error = await #expect(throws: ApusError.self) {
      try await ask { metadata in
        try await link.deliver(
          FlowerMessage(to: metadata, .content(ObjectLaws.content)), corrupting: true)
      }
    }
    #expect(error?.code == .invalidMessage)
  }

  @Test(arguments: [2, 3, 4, 5, 8])
  func `an error instead of an answer is told in words`(code: Int) async throws {
    let error = await #expect(throws: ApusError.self) {
      try await ask { metadata in
        try await link.deliver(
          FlowerMessage(to: metadata, .error(FlowerFailure(code: code, reason: "why"))))
      }
    }
    #expect(error?.location == "round 0, nine" && error?.problem.hasSuffix(": why") == true)
  }

  @Test func `who does not answer before the deadline is not waited for`() async throws {
    let error = await #expect(throws: ApusError.self) {
      try await ask(within: .zero) { _ in }
    }
    #expect(error?.problem == "no answer came before the deadline")
  }

  @Test func `a passing failure is tried again, a refusal is not`() async throws {
    await link.set { $0.refusals["push-messages"] = [503, 502] }
    await link.set { $0.silences["push-object"] = 3 }
    _ = try await ask { metadata in
      try await link.deliver(FlowerMessage(to: metadata, .content(ObjectLaws.content)))
    }
    await link.set { $0.refusals["push-messages"] = [401] }
    let error = await #expect(throws: ApusError.self) { try await ask { _ in } }
    #expect(error?.code == .runState && error?.problem.contains("any more") == true)
  }

  @Test func `a call that may not be repeated is not`() async throws {
    let session = try await testSession(link)
    await link.set { $0.silences["pull-task-input"] = 1 }
    await #expect(throws: ApusError.self) { try await session.input() }
    #expect(await link.calls.count { $0 == "pull-task-input" } == 1)
  }

  @Test func `a wrong secret is said to be one`() async throws {
    let session = try await testSession(link)
    await link.set { $0.refusals["acquire-task"] = [401] }
    let refusal = await #expect(throws: RuntimeRefusal.self) {
      try await session.api.acquireTask("flwr-clientapp")
    }
    #expect(refusal?.error.remedy.contains("--secret-file") == true)
  }

  @Test func `an instruction has what Flower demands of one`() async throws {
    _ = try await ask { metadata in
      #expect(metadata.srcNodeID == 1 && metadata.dstNodeID == 9 && metadata.runID == 7)
      #expect(metadata.replyToMessageID.isEmpty && metadata.ttl == 600)
      #expect(metadata.srcTaskID == 5 && metadata.createdAt > 1_740_700_800)
      try await link.deliver(FlowerMessage(to: metadata, .content(ObjectLaws.content)))
    }
  }
}

@Suite struct RosterLaws {
  private func introductions(_ places: [UInt64: Int]) -> Roster.Greet {
    { node in
      guard let index = places[node] else {
        throw ApusError(.runState, at: "node \(node)", "it is silent", remedy: "Wait")
      }
      return Introduction(index: index, name: "\(index)", sampleCount: 1)
    }
  }

  private func join(_ roster: Roster, _ nodes: Set<UInt64>) async {
    for node in await roster.update(nodes) { await roster.welcome(node) }
  }

  private func node(_ roster: Roster, _ client: Int) async throws -> UInt64 {
    try await roster.node(of: client, by: .now, place: "client \(client)")
  }

  @Test func `a node is the client that it says it is`() async throws {
    let roster = Roster(clients: 2, greet: introductions([40: 1, 50: 0])) { _ in }
    await join(roster, [40, 50])
    #expect(try await node(roster, 0) == 50)
    #expect(try await node(roster, 1) == 40)
  }

  @Test func `a client whose node left fails at once, and is back with its next node`() async throws
  {
    let roster = Roster(clients: 1, greet: introductions([40: 0, 41: 0])) { _ in }
    await join(roster, [40])
    await join(roster, [])
    let error = await #expect(throws: ApusError.self) {
      try await roster.node(of: 0, by: .now + .seconds(1000), place: "here")
    }
    #expect(error?.problem.contains("offline") == true)
    await join(roster, [41])
    #expect(try await node(roster, 0) == 41)
  }

  @Test func `who never joined is missed at the deadline`() async throws {
    let roster = Roster(clients: 2, greet: introductions([40: 0])) { _ in }
    await join(roster, [40, 41])
    await #expect(throws: ApusError.self) { try await node(roster, 1) }
  }

  @Test func `nodes of others take their places in order of their ids, once all are there`()
    async throws
  {
    let roster = Roster(clients: 2, greet: nil) { _ in }
    await join(roster, [70])
    await #expect(throws: ApusError.self) { try await node(roster, 0) }
    await join(roster, [70, 60])
    #expect(try await node(roster, 0) == 60)
    #expect(try await node(roster, 1) == 70)
    // One that comes in place of another gets the free place.
    await join(roster, [70, 50])
    #expect(try await node(roster, 0) == 50)
  }
}

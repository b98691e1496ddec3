import ApusBase
import Foundation
import SwiftProtobuf

@testable import ApusFlower

/// A SuperLink, or SuperNode, of one process: it keeps what is pushed and hands it out.
actor TestLink: RuntimeWire {
  nonisolated let address = "test:1"
  /// Names of the calls, in order.
  private(set) var calls: [String] = []
  /// Headers of the last call.
  private(set) var headers: [String: String] = [:]
  private(set) var objects: [String: Data] = [:]
  private var inbox: [AnnouncedMessage] = []
  /// What was announced, in order.
  private(set) var announced: [Flwr_Proto_Message] = []
  private(set) var outputs: [Flwr_Proto_PushTaskOutputRequest] = []
  var version = "1.41.0"
  var nodeConfig: [String: Flwr_Proto_Scalar] = [:]
  var overrides: [String: Flwr_Proto_Scalar] = [:]
  /// Answers of this status come instead, call by call.
  var refusals: [String: [Int]] = [:]
  /// Calls whose answers are no messages of Protobuf.
  var garbled: Set<String> = []
  /// What ends a connection instead of an answer.
  var silence: any Error = CocoaError(.fileNoSuchFile)
  /// Calls that get no answer, so many times.
  var silences: [String: Int] = [:]
  var storesObjects = true
  /// Whether objects are known and not there, as while a SuperNode is fetching them.
  var withholdsObjects = false
  /// What is offered to whoever asks for work.
  var offers: [String] = []

  func set(_ change: @Sendable (isolated TestLink) -> Void) { change(self) }

  /// Puts a message where the next pull finds it.
  func deliver(_ message: FlowerMessage, corrupting: Bool = false) throws {
    let packed = try PackedMessage(message)
    for object in packed.objects.values {
      var bytes = object.bytes
      if corrupting, object.kind == .arrayChunk { bytes[bytes.count - 1] ^= 1 }
      objects[object.id] = bytes
    }
    inbox.append(AnnouncedMessage(envelope: packed.envelope, tree: packed.tree))
  }

  /// A message that was announced here, put together.
  func message(_ index: Int) throws -> FlowerMessage {
    let stored = try objects.map { try StoredObject($0.value, id: $0.key) }
    return try FlowerMessage(
      announced[index], objects: Dictionary(uniqueKeysWithValues: stored.map { ($0.id, $0) }))
  }

  func send(_ request: WireRequest) async throws -> WireAnswer {
    let name = request.path.split(separator: "/").last.map(String.init) ?? ""
    calls.append(name)
    headers = Dictionary(request.headers.map { ($0.name, $0.value) }) { $1 }
    if let times = silences[name], times > 0 {
      silences[name] = times - 1
      throw WireFailure.unreachable(silence)
    }
    if let status = refusals[name]?.first {
      refusals[name]?.removeFirst()
      return WireAnswer(status: status, body: Data("{\"code\": 7, \"detail\": \"no\"}".utf8))
    }
    if garbled.contains(name) { return WireAnswer(status: 200, body: Data([0xFF])) }
    if name == "openapi.json" {
      return WireAnswer(
        status: 200, body: Data("{\"info\": {\"version\": \"\(version)\"}}".utf8))
    }
    return WireAnswer(status: 200, body: try answer(name, request.body ?? Data()))
  }

  private func answer(_ name: String, _ body: Data) throws -> Data {
    switch name {
    case "pull-task-input":
      var input = Flwr_Proto_PullTaskInputResponse()
      input.context.nodeID = 9
      input.context.nodeConfig = nodeConfig
      input.run.runID = 7
      input.run.overrideConfig = overrides
      return try input.serializedBytes()
    case "pull-messages":
      var answer = Flwr_Proto_PullAppMessagesResponse()
      answer.messagesList = inbox.map(\.envelope)
      answer.messageObjectTrees = inbox.map(\.tree)
      inbox = []
      return try answer.serializedBytes()
    case "push-messages":
      let request = try Flwr_Proto_PushAppMessagesRequest(serializedBytes: body)
      announced += request.messagesList
      var answer = Flwr_Proto_PushAppMessagesResponse()
      answer.messageIds = request.messagesList.map(\.metadata.messageID)
      answer.objectsToPush = request.messageObjectTrees.flatMap { PackedMessage.order(of: $0) }
        .filter { objects[$0] == nil }
      answer.sessionID = "session"
      return try answer.serializedBytes()
    case "push-object":
      let request = try Flwr_Proto_PushObjectRequest(serializedBytes: body)
      if storesObjects { objects[request.objectID] = request.objectContent }
      var answer = Flwr_Proto_PushObjectResponse()
      answer.stored = storesObjects
      return try answer.serializedBytes()
    case "pull-object":
      let request = try Flwr_Proto_PullObjectRequest(serializedBytes: body)
      var answer = Flwr_Proto_PullObjectResponse()
      answer.objectFound = objects[request.objectID] != nil
      answer.objectAvailable = answer.objectFound && !withholdsObjects
      answer.objectContent = objects[request.objectID] ?? Data()
      return try answer.serializedBytes()
    case "acquire-task":
      var answer = Flwr_Proto_AcquireTaskResponse()
      if !offers.isEmpty { answer.token = offers.removeFirst() }
      return try answer.serializedBytes()
    case "push-task-output":
      outputs.append(try Flwr_Proto_PushTaskOutputRequest(serializedBytes: body))
      return Data()
    default: return Data()
    }
  }
}

/// A session with a link that never waits.
func testSession(_ link: TestLink) async throws -> TaskSession {
  let api = try await RuntimeAPI.connect(link, secret: nil, pause: { _ in await Task.yield() })
  return TaskSession(api: api, token: "token")
}

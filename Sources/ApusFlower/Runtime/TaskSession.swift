import ApusBase
import Foundation

/// One task in Flower's books, from pulling its input to pushing its output.
struct TaskSession: Sendable {
  let api: RuntimeAPI
  let token: String

  /// What is the matter, and with whose settings; starts the task's life in Flower's books.
  func input() async throws -> Flwr_Proto_PullTaskInputResponse {
    try await api.call(
      "pull-task-input", Flwr_Proto_PullTaskInputRequest(), Flwr_Proto_PullTaskInputResponse.self,
      token: token, once: true)
  }

  /// Says that the task is alive; it dies after 60 silent seconds.
  func heartbeat() async throws {
    _ = try await api.call(
      "send-task-heartbeat", Flwr_Proto_SendTaskHeartbeatRequest(),
      Flwr_Proto_SendTaskHeartbeatResponse.self, token: token)
  }

  /// The nodes that take part; for a server's app only.
  func nodes() async throws -> [Flwr_Proto_NodeInfo] {
    try await api.call(
      "get-nodes", Flwr_Proto_GetNodesRequest(), Flwr_Proto_GetNodesResponse.self, token: token
    ).nodes
  }

  /// What announces messages, each handed out once.
  ///
  /// - Parameter ids: Of the instructions whose answers are wanted; empty for a client's app,
  ///   which gets the one instruction of its task.
  /// - Returns: The messages that are there.
  /// - Throws: ``ApusError`` if nobody answers; then a message may be lost.
  func messages(_ ids: [String] = []) async throws -> [AnnouncedMessage] {
    var request = Flwr_Proto_PullAppMessagesRequest()
    request.messageIds = ids
    let answer = try await api.call(
      "pull-messages", request, Flwr_Proto_PullAppMessagesResponse.self, token: token, once: true)
    return zip(answer.messagesList, answer.messageObjectTrees).map {
      AnnouncedMessage(envelope: $0, tree: $1)
    }
  }

  /// Announces a message.
  ///
  /// - Returns: Its id, empty if Flower refused it; and which objects must be pushed, in which
  ///   push session.
  func announce(
    _ message: PackedMessage
  ) async throws -> (id: String, missing: [String], session: String) {
    var request = Flwr_Proto_PushAppMessagesRequest()
    request.messagesList = [message.envelope]
    request.messageObjectTrees = [message.tree]
    let answer = try await api.call(
      "push-messages", request, Flwr_Proto_PushAppMessagesResponse.self, token: token)
    return (answer.messageIds.first ?? "", answer.objectsToPush, answer.sessionID)
  }

  /// Stores an object; false if Flower did not take it, or has it already.
  func push(
    _ object: StoredObject, node: UInt64, run: UInt64, session: String
  ) async throws -> Bool {
    var request = Flwr_Proto_PushObjectRequest()
    request.node.nodeID = node
    request.runID = run
    request.objectID = object.id
    request.objectContent = object.bytes
    request.sessionID = session
    return try await api.call(
      "push-object", request, Flwr_Proto_PushObjectResponse.self, token: token
    ).stored
  }

  /// Asks for an object.
  func pull(
    _ id: String, node: UInt64, run: UInt64
  ) async throws -> Flwr_Proto_PullObjectResponse {
    var request = Flwr_Proto_PullObjectRequest()
    request.node.nodeID = node
    request.runID = run
    request.objectID = id
    return try await api.call(
      "pull-object", request, Flwr_Proto_PullObjectResponse.self, token: token)
  }

  /// Lets Flower forget a message that has arrived whole.
  func confirm(_ message: String, node: UInt64, run: UInt64) async throws {
    var request = Flwr_Proto_ConfirmMessageReceivedRequest()
    request.node.nodeID = node
    request.runID = run
    request.messageObjectID = message
    _ = try await api.call(
      "confirm-message-received", request, Flwr_Proto_ConfirmMessageReceivedResponse.self,
      token: token)
  }

  /// Adds lines to the log that `flwr log` shows.
  func log(_ text: String, run: UInt64) async throws {
    var request = Flwr_Proto_PushLogsRequest()
    request.node.nodeID = FlowerMessage.serverNode
    request.runID = run
    request.logs = [text]
    _ = try await api.call("push-logs", request, Flwr_Proto_PushLogsResponse.self, token: token)
  }

  /// Ends the task; its token is dead afterwards.
  ///
  /// - Parameters:
  ///   - status: `completed`, `failed` or `stopped`.
  ///   - details: A sentence for people.
  ///   - context: The context that came with the input.
  ///   - seconds: How long clients computed; a simulation must say.
  /// - Throws: ``RuntimeRefusal`` if Flower does not know the task any more.
  func finish(
    _ status: String, details: String = "", context: Flwr_Proto_Context, seconds: Double? = nil
  ) async throws {
    var request = Flwr_Proto_PushTaskOutputRequest()
    request.context = context
    request.subStatus = status
    request.details = details
    if let seconds { request.clientappRuntime = seconds }
    _ = try await api.call(
      "push-task-output", request, Flwr_Proto_PushTaskOutputResponse.self, token: token,
      attempts: 3)
  }

  /// Runs `body` while heartbeats keep the task alive.
  func whileAlive<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    try await firstOf(
      body: body,
      beside: [
        {
          while true {
            try await Task.sleep(for: .seconds(20))
            do { try await heartbeat() } catch let refusal as RuntimeRefusal {
              throw refusal.error
            }
          }
        }
      ])
  }
}

/// A message that Flower has for us: its envelope, and how its objects hang together.
struct AnnouncedMessage: Sendable {
  let envelope: Flwr_Proto_Message
  let tree: Flwr_Proto_ObjectTree
}

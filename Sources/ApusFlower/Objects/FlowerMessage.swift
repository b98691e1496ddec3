import ApusBase
import Foundation

/// One message of Flower: from whom to whom, and either content or an error.
struct FlowerMessage: Sendable {
  /// What it carries.
  enum Payload: Sendable {
    case content(FlowerContent)
    case error(FlowerFailure)
  }

  var metadata: Flwr_Proto_Metadata
  var payload: Payload

  /// Node id of the server's app.
  static let serverNode: UInt64 = 1

  init(_ metadata: Flwr_Proto_Metadata, _ payload: Payload) {
    self.metadata = metadata
    self.payload = payload
  }

  /// An instruction from the server's app to a node.
  ///
  /// - Parameters:
  ///   - type: `train`, `evaluate` or `query`, with a suffix behind a dot if need be.
  ///   - node: The node.
  ///   - task: The server's task.
  ///   - group: Which round, for people.
  ///   - lifetime: Seconds until the message and its reply expire.
  ///   - content: What it carries.
  init(
    _ type: String, to node: UInt64, from task: FlowerTaskInfo, group: String, lifetime: Double,
    content: FlowerContent
  ) {
    metadata = Flwr_Proto_Metadata()
    metadata.runID = task.runID
    metadata.srcNodeID = Self.serverNode
    metadata.dstNodeID = node
    metadata.groupID = group
    metadata.ttl = lifetime
    metadata.messageType = type
    metadata.createdAt = Date().timeIntervalSince1970
    if let id = task.taskID { metadata.srcTaskID = id }
    payload = .content(content)
  }

  /// The answer to an instruction.
  init(to instruction: Flwr_Proto_Metadata, _ payload: Payload) {
    let now = Date().timeIntervalSince1970
    metadata = Flwr_Proto_Metadata()
    metadata.runID = instruction.runID
    metadata.srcNodeID = instruction.dstNodeID
    metadata.dstNodeID = instruction.srcNodeID
    metadata.replyToMessageID = instruction.messageID
    metadata.groupID = instruction.groupID
    metadata.ttl = instruction.createdAt + instruction.ttl - now
    metadata.messageType = instruction.messageType
    metadata.createdAt = now
    if instruction.hasDstTaskID { metadata.srcTaskID = instruction.dstTaskID }
    if instruction.hasSrcTaskID { metadata.dstTaskID = instruction.srcTaskID }
    self.payload = payload
  }
}

/// An error that came instead of an answer.
struct FlowerFailure: Sendable, Equatable {
  let code: Int
  /// What the sender said; never more than a line.
  let reason: String

  init(code: Int, reason: String) {
    self.code = code
    self.reason = reason.asPeerText
  }

  /// The app ran and threw.
  static let appRaised = 2

  /// A sentence for people: what the code means, and what the sender said.
  var text: String {
    let meaning =
      switch code {
      case 1: "the client app could not be loaded"
      case 2: "the client app failed"
      case 3: "the message or its answer is gone from the SuperLink"
      case 4: "the answer did not come in time"
      case 5: "the SuperNode went away"
      case 6: "a mod of the client refused the message"
      case 7: "the SuperNode does not trust the app"
      case 8: "the client app stopped responding"
      default: "Flower reports error \(code)"
      }
    return reason.isEmpty ? meaning : "\(meaning): \(reason)"
  }
}

/// Which task of which run a session serves.
struct FlowerTaskInfo: Sendable {
  let runID: UInt64
  let taskID: UInt64?
}

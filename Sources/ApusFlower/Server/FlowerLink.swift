import ApusBase
import ApusCore
import ApusSimulation
import Foundation

/// What clients understand.
public enum FlowerDialect: String, Sendable, CaseIterable {
  /// Clients of Apus: all methods, and the same bits as in one process.
  case apus
  /// Any Flower client: tensors as arrays under their Hugging Face PEFT names.
  case arrays
}

/// The way from an Apus server to its clients: mailbox, roster, and how long to wait.
struct FlowerLink: Sendable {
  let mailbox: Mailbox
  let roster: Roster
  let task: FlowerTaskInfo
  let dialect: FlowerDialect
  /// Longest time that a round waits for one client, joining included.
  let deadline: Duration

  /// Sends a frame to a client and waits for the frame that answers it.
  func exchange(
    _ frame: WorkerFrame, _ type: String, _ client: ClientID, _ round: Round, _ place: String
  ) async throws -> WorkerFrame {
    let content = try await ask(FlowerContent(frame), type, client, round, place)
    guard let answer = try content.frame() else {
      throw ApusError(
        .invalidMessage, at: place, "the client answered in another form",
        remedy: "Run \"apus flower client\" behind each SuperNode, or give --clients arrays")
    }
    return answer
  }

  /// Sends an instruction to a client and waits for the answer.
  func ask(
    _ content: FlowerContent, _ type: String, _ client: ClientID, _ round: Round, _ place: String
  ) async throws -> FlowerContent {
    let end = ContinuousClock.now + deadline
    let node = try await roster.node(of: client.index, by: end, place: place)
    return try await mailbox.ask(
      FlowerMessage(
        type, to: node, from: task, group: "\(round.index + 1)", lifetime: deadline / .seconds(1),
        content: content),
      by: end, place: place)
  }

  /// Looks after nodes that come and go, until cancelled.
  func watchNodes(_ session: TaskSession) async throws {
    try await withThrowingDiscardingTaskGroup { group in
      while true {
        if let nodes = try await passing({ try await session.nodes() }) {
          let online = nodes.filter { $0.status == "online" }.map(\.nodeID)
          for node in await roster.update(Set(online)) {
            group.addTask { await roster.welcome(node) }
          }
        }
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// Looks for answers, until cancelled.
  func watchMail() async throws {
    while true {
      _ = try await passing { try await mailbox.look() }
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  /// The result; nil if nobody answered this time, since the SuperLink may be restarting.
  private func passing<Result>(_ body: () async throws -> Result) async throws -> Result? {
    do { return try await body() } catch let refusal as RuntimeRefusal {
      throw refusal.error
    } catch let error as ApusError where error.code == .runState {
      return nil
    }
  }
}

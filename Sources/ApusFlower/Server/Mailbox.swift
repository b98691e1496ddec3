import ApusBase
import Foundation

/// Instructions that wait for their answers.
///
/// One loop asks Flower for all of them at once; each answer then finds its way to whoever waits.
actor Mailbox {
  private struct Waiting {
    let continuation: CheckedContinuation<AnnouncedMessage, any Error>
    let deadline: ContinuousClock.Instant
    let place: String
  }

  private let transfer: MessageTransfer
  private var waiting: [String: Waiting] = [:]

  init(_ transfer: MessageTransfer) { self.transfer = transfer }

  /// Sends an instruction and waits for its answer.
  ///
  /// - Parameters:
  ///   - instruction: What to send.
  ///   - deadline: When to stop waiting.
  ///   - place: Round and client, for errors.
  /// - Returns: What the answer carries.
  /// - Throws: ``ApusError``: `.runState` if no answer came or an error came instead,
  ///   `.invalidMessage` if the answer is damaged.
  nonisolated func ask(
    _ instruction: FlowerMessage, by deadline: ContinuousClock.Instant, place: String
  ) async throws -> FlowerContent {
    do {
      let id = try await transfer.push(instruction)
      let announced = try await answer(to: id, by: deadline, place: place)
      switch try await transfer.pull(announced).payload {
      case .content(let content): return content
      case .error(let failure):
        throw ApusError(
          .runState, at: place, failure.text,
          remedy: failure.code == FlowerFailure.appRaised
            ? "Correct it on the client's machine" : "See the SuperNode and the client behind it")
      }
    } catch let refusal as RuntimeRefusal {
      throw refusal.error
    }
  }

  private func answer(
    to id: String, by deadline: ContinuousClock.Instant, place: String
  ) async throws -> AnnouncedMessage {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        // Checked here, where no cancelling can come between it and the dictionary.
        if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
        waiting[id] = Waiting(continuation: continuation, deadline: deadline, place: place)
      }
    } onCancel: {
      Task { await self.drop(id) }
    }
  }

  private func drop(_ id: String) {
    waiting.removeValue(forKey: id)?.continuation.resume(throwing: CancellationError())
  }

  /// Looks once for answers, and gives up on those that are overdue.
  func look() async throws {
    let now = ContinuousClock.now
    for (id, entry) in waiting where entry.deadline < now {
      waiting[id] = nil
      entry.continuation.resume(throwing: Self.late(entry.place))
    }
    guard !waiting.isEmpty else { return }
    for announced in try await transfer.session.messages(waiting.keys.sorted()) {
      let id = announced.envelope.metadata.replyToMessageID
      // A second answer, or one that nobody waits for any more, has no place to go.
      waiting.removeValue(forKey: id)?.continuation.resume(returning: announced)
    }
  }

  /// Ends all waiting.
  func close(_ error: any Error) {
    for entry in waiting.values { entry.continuation.resume(throwing: error) }
    waiting = [:]
  }

  static func late(_ place: String) -> ApusError {
    ApusError(
      .runState, at: place, "no answer came before the deadline",
      remedy: "See whether SuperNode and client run, or allow more time with --deadline")
  }
}

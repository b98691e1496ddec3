import ApusBase
import Foundation

/// Instructions that wait for their answers.
///
/// One loop asks Flower for all of them at once; each answer then finds its way to whoever waits.
actor Mailbox {
  private let transfer: MessageTransfer
  private var waiting: [String: CheckedContinuation<AnnouncedMessage, any Error>] = [:]

  init(_ transfer: MessageTransfer) { self.transfer = transfer }

  /// Sends an instruction and waits for its answer.
  ///
  /// - Parameters:
  ///   - instruction: What to send.
  ///   - deadline: When to give up, be it in sending, waiting or fetching.
  ///   - place: Round and client, for errors.
  /// - Returns: What the answer carries.
  /// - Throws: ``ApusError``: `.runState` if no answer came or an error came instead,
  ///   `.invalidMessage` if the answer is damaged.
  nonisolated func ask(
    _ instruction: FlowerMessage, by deadline: ContinuousClock.Instant, place: String
  ) async throws -> FlowerContent {
    do {
      let answer = try await firstOf(
        body: {
          try await self.transfer.pull(self.answer(to: self.transfer.push(instruction)))
        },
        beside: [
          {
            try await Task.sleep(until: deadline, clock: .continuous)
            throw Self.late(place)
          }
        ])
      switch answer.payload {
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

  private func answer(to id: String) async throws -> AnnouncedMessage {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        // Checked here, where no cancelling can come between it and the dictionary.
        if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
        waiting[id] = continuation
      }
    } onCancel: {
      Task { await self.drop(id) }
    }
  }

  private func drop(_ id: String) {
    waiting.removeValue(forKey: id)?.resume(throwing: CancellationError())
  }

  /// Looks once for answers.
  func look() async throws {
    guard !waiting.isEmpty else { return }
    for announced in try await transfer.session.messages(waiting.keys.sorted()) {
      let id = announced.envelope.metadata.replyToMessageID
      // A second answer, or one that nobody waits for any more, has no place to go.
      waiting.removeValue(forKey: id)?.resume(returning: announced)
    }
  }

  /// Ends all waiting.
  func close(_ error: any Error) {
    for continuation in waiting.values { continuation.resume(throwing: error) }
    waiting = [:]
  }

  static func late(_ place: String) -> ApusError {
    ApusError(
      .runState, at: place, "no answer came before the deadline",
      remedy: "See whether SuperNode and client run, or allow more time with --deadline")
  }
}

import ApusBase
public import Foundation

/// Clients of a federation behind SuperNodes: one long-lived process for one or several of them.
///
/// Each SuperNode must run with `--isolation process` and say which client it is by
/// `--node-config 'partition-id=0'`. Messages of an Apus server and of any Flower strategy are answered.
public struct FlowerClient: Sendable {
  private let app: ClientApp
  private let report: @Sendable (String) -> Void

  /// Seconds between two questions for work.
  private static let pollInterval = Duration.milliseconds(500)
  /// An instruction that is not here after this time may have been given up.
  private static let suspicion = Duration.seconds(3)
  private static let taskType = "flwr-clientapp"

  /// Prepares the clients of this machine.
  ///
  /// - Parameters:
  ///   - states: Folder for what clients keep between rounds; made when it is needed.
  ///   - site: The experiment as its file has it.
  ///   - remake: Loads it again, for a run that sets something over it.
  ///   - report: Hears what a person at this machine may want to know, a line at a time.
  public init(
    states: URL, site: FlowerSite, remake: @escaping FlowerSite.Maker,
    report: @escaping @Sendable (String) -> Void
  ) {
    app = ClientApp(sites: SiteCache(site, remake), states: states)
    self.report = report
  }

  /// Works for SuperNodes until the task is cancelled.
  ///
  /// - Parameter connections: The Runtime APIs of the SuperNodes.
  /// - Throws: ``ApusError`` `.unsupported` for a version of Flower that was not tested,
  ///   `.invalidConfig` for a wrong secret or certificate.
  public func serve(_ connections: [FlowerConnection]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for connection in connections { group.addTask { try await serve(connection) } }
      try await group.waitForAll()
    }
  }

  private func serve(_ connection: FlowerConnection) async throws {
    try await HTTPWire.using(connection, traffic: FlowerTraffic()) { wire in
      while true {
        let api = try await RuntimeAPI.connect(wire, secret: connection.secret, report: report)
        report("\(connection.address): ready for work")
        do { try await work(for: api) } catch let error as ApusError where error.code == .runState {
          report("\(error)")
          try await Task.sleep(for: .seconds(1))
        }
      }
    }
  }

  /// Takes one task after the other; returns never, throws if the SuperNode is lost.
  private func work(for api: RuntimeAPI) async throws {
    while true {
      do {
        guard let (_, token) = try await api.acquireTask(Self.taskType) else {
          try await Task.sleep(for: Self.pollInterval)
          continue
        }
        var next: String? = token
        while let token = next { next = try await serve(TaskSession(api: api, token: token)) }
      } catch let refusal as RuntimeRefusal {
        guard refusal.call != "acquire-task" else { throw refusal.error }
        report("\(refusal.error)")
      }
    }
  }

  /// Does one task, from its input to its output.
  ///
  /// - Returns: The token of the next task, if the SuperNode gave this one up for it.
  @discardableResult
  func serve(_ session: TaskSession) async throws -> String? {
    try await session.whileAlive {
      // Back to back: whoever dies between these two leaves the SuperNode stuck.
      let input = try await session.input()
      guard let announced = try await session.messages().first else {
        throw ApusError(
          .runState, at: session.api.wire.address, "the task came without a message",
          remedy: "Restart the SuperNode")
      }
      let transfer = MessageTransfer(
        session: session, node: input.context.nodeID, run: input.run.runID)
      let metadata = announced.envelope.metadata
      let what = "\(metadata.messageType), round \(metadata.groupID)".asPeerText
      report("\(session.api.wire.address): \(what)")
      let clock = ContinuousClock.now
      let payload: FlowerMessage.Payload
      do { payload = try await answer(announced, input: input, transfer) } catch let next
        as Successor
      {
        // No reply: the SuperNode waits for that of the next task, and would take this one for it.
        report("\(session.api.wire.address): its run ended before the message was here")
        do { try await session.finish("failed", context: input.context) } catch {
          report("\(session.api.wire.address): \(error)")  // and the next task is done all the same
        }
        return next.token
      }
      let seconds = (ContinuousClock.now - clock) / .seconds(1)
      // Cancelling may end the work, but not leave the SuperNode without an answer. If it cannot be
      // pushed, the task is not finished either: the SuperNode then reports it lost, and lives on.
      try await Task {
        _ = try await transfer.push(FlowerMessage(to: metadata, payload))
        var status = "completed"
        if case .error = payload { status = "failed" }
        try await session.finish(status, context: input.context, seconds: seconds)
      }.value
      try Task.checkCancellation()
      return nil
    }
  }

  /// The SuperNode offers another task while this one has no answer.
  private struct Successor: Error {
    let token: String
  }

  /// Gets the rest of an instruction.
  ///
  /// A SuperNode that learns in the middle of it that the run has ended leaves the message half there
  /// and takes the next. As it has one at a time, another task means that this one is dead.
  ///
  /// - Throws: ``Successor`` with that task; ``ApusError`` as ``MessageTransfer/pull(_:)``.
  private func instruction(
    _ announced: AnnouncedMessage, _ transfer: MessageTransfer
  ) async throws -> FlowerMessage {
    let api = transfer.session.api
    return try await firstOf(
      body: { try await transfer.pull(announced) },
      beside: [
        {
          while true {
            try await api.pause(Self.suspicion)
            try Task.checkCancellation()
            do {
              if let (_, token) = try await api.acquireTask(Self.taskType) {
                throw Successor(token: token)
              }
            } catch let error as ApusError where error.isPassingRefusal {
              continue  // asked again; the message may be coming all the same
            }
          }
        }
      ])
  }

  private func answer(
    _ announced: AnnouncedMessage, input: Flwr_Proto_PullTaskInputResponse,
    _ transfer: MessageTransfer
  ) async throws -> FlowerMessage.Payload {
    do {
      let message = try await instruction(announced, transfer)
      switch message.payload {
      case .content(let content):
        let type = message.metadata.messageType
        return .content(try await app.reply(to: content, type: type, input: input))
      case .error(let failure):
        throw ApusError(
          .invalidMessage, at: "instruction", "it is an error: \(failure.text)",
          remedy: "See the server's log")
      }
    } catch let next as Successor {
      throw next
    } catch {
      let reason = Task.isCancelled ? "the client was stopped" : "\(error)".asPeerText
      report(reason)
      return .error(FlowerFailure(code: FlowerFailure.appRaised, reason: reason))
    }
  }
}

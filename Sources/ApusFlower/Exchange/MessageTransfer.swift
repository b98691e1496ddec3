import ApusBase
import Foundation

/// Moves whole messages: the envelope first, then the objects that the other side lacks.
struct MessageTransfer: Sendable {
  let session: TaskSession
  /// Whose transfers these are: the server's app is node 1.
  let node: UInt64
  let run: UInt64

  /// Objects that are on their way at the same time.
  private static let width = 4
  /// Attempts to get an object that is announced but not there yet, ten seconds apart in the end.
  private static let attempts = 500

  /// Sends a message.
  ///
  /// - Returns: The id under which an answer will come.
  /// - Throws: ``ApusError`` `.runState` if Flower does not take the message or an object of it.
  func push(_ message: FlowerMessage) async throws -> String {
    let packed = try PackedMessage(message)
    let announced = try await session.announce(packed)
    guard !announced.id.isEmpty else {
      throw ApusError(
        .runState, at: "node \(message.metadata.dstNodeID)",
        "Flower does not take a message to it", remedy: "See whether its SuperNode still runs")
    }
    let objects = announced.missing.compactMap { packed.objects[$0] }
    try await eachOf(objects) { object in
      let stored = try await session.push(
        object, node: node, run: run, session: announced.session)
      guard stored else {
        throw ApusError(
          .runState, at: "Flower object \(object.id.prefix(12))…", "Flower did not store it",
          remedy: "See Flower's own log")
      }
    }
    return announced.id
  }

  /// Gets the rest of an announced message, and lets Flower forget it.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if an object is gone, damaged or never comes, or if the
  ///   message is larger than a machine should have to hold.
  func pull(_ announced: AnnouncedMessage) async throws -> FlowerMessage {
    let gathered = Gathered()
    try await eachOf(PackedMessage.order(of: announced.tree)) { id in
      try await gathered.add(try await pull(id))
    }
    let message = try FlowerMessage(announced.envelope, objects: await gathered.objects)
    try await session.confirm(announced.envelope.metadata.messageID, node: node, run: run)
    return message
  }

  private func pull(_ id: String) async throws -> StoredObject {
    var delay = 1.0
    for _ in 0..<Self.attempts {
      let answer = try await session.pull(id, node: node, run: run)
      guard answer.objectFound else {
        throw StoredObject.error(id, "Flower does not have it; its sender never pushed it")
      }
      if answer.objectAvailable { return try StoredObject(answer.objectContent, id: id) }
      try await session.api.pause(.seconds(delay))
      delay = min(2 * delay, 10)
    }
    throw StoredObject.error(id, "it was announced and never came")
  }

  /// Calls `body` with each element, a few at a time.
  private func eachOf<Element: Sendable>(
    _ elements: [Element], _ body: @escaping @Sendable (Element) async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, element) in elements.enumerated() {
        if index >= Self.width { try await group.next() }
        group.addTask { try await body(element) }
      }
      try await group.waitForAll()
    }
  }

  private actor Gathered {
    private(set) var objects: [String: StoredObject] = [:]
    private var count = 0

    func add(_ object: StoredObject) throws(ApusError) {
      objects[object.id] = object
      count += object.body.count
      guard count <= PackedMessage.limit else {
        throw StoredObject.error(
          object.id, "its message has more than \(PackedMessage.limit) bytes")
      }
    }
  }
}

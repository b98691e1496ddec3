import ApusBase
import Foundation

/// Which client is behind which node, now.
actor Roster {
  /// Asks a node who it is; throws if it does not say.
  typealias Greet = @Sendable (_ node: UInt64) async throws -> Introduction

  private let greet: Greet?
  private let report: @Sendable (String) -> Void
  private let clients: Int
  private var nodes: [Int: UInt64] = [:]
  private var online: Set<UInt64> = []
  /// Nodes that are being asked, and when others that were did not introduce themselves.
  private var pending: Set<UInt64> = []
  private var silent: [UInt64: ContinuousClock.Instant] = [:]
  private var greeted: Set<UInt64> = []
  private var introductions: [Int: Introduction] = [:]

  /// A node that did not introduce itself is asked again after this time.
  private static let patience = Duration.seconds(30)

  /// A roster without nodes.
  ///
  /// - Parameters:
  ///   - clients: Number of clients in the federation.
  ///   - greet: Asks a node who it is; nil if nodes are not Apus's, and get their places by their id.
  ///   - report: Hears who comes and goes.
  init(clients: Int, greet: Greet?, report: @escaping @Sendable (String) -> Void) {
    self.clients = clients
    self.greet = greet
    self.report = report
  }

  /// Takes notice of which nodes are online; returns those that should be greeted now.
  func update(_ now: Set<UInt64>) -> [UInt64] {
    for (client, node) in nodes where online.contains(node) && !now.contains(node) {
      report("client \(client): its SuperNode went away")
    }
    online = now
    guard greet != nil else {
      takePlaces()
      return []
    }
    let clock = ContinuousClock.now
    let due = now.subtracting(greeted).subtracting(pending).filter { node in
      silent[node].map { clock - $0 > Self.patience } ?? true
    }
    pending.formUnion(due)
    return due.sorted()
  }

  /// Nodes of others get the free places in order of their ids, once there are enough of them.
  private func takePlaces() {
    let seated = Set(nodes.values)
    guard !nodes.isEmpty || online.count >= clients else { return }
    var free = (0..<clients).filter { nodes[$0].map { !online.contains($0) } ?? true }
    for node in online.subtracting(seated).sorted() where !free.isEmpty {
      let client = free.removeFirst()
      nodes[client] = node
      report("client \(client): node \(node)")
    }
  }

  /// Asks a node who it is, and gives it its place.
  func welcome(_ node: UInt64) async {
    guard let greet else { return }
    defer { pending.remove(node) }
    do {
      let introduction = try await greet(node)
      greeted.insert(node)
      guard (0..<clients).contains(introduction.index) else {
        return report("node \(node) calls itself client \(introduction.index) of \(clients)")
      }
      if let former = nodes[introduction.index], former != node, online.contains(former) {
        report("two nodes are client \(introduction.index); the later one counts")
      }
      nodes[introduction.index] = node
      introductions[introduction.index] = introduction
      report("client \(introduction.index), \(introduction.name): joined")
    } catch is CancellationError {
      return
    } catch {
      silent[node] = .now
      report("\(error)")
    }
  }

  /// What a client said of itself when it joined.
  func introduction(of client: Int) -> Introduction? { introductions[client] }

  /// The node of a client.
  ///
  /// - Parameters:
  ///   - client: The client's index.
  ///   - deadline: How long to wait for a client that never joined. One that left is not waited for.
  ///   - place: Round and client, for the error.
  /// - Returns: The node's id.
  /// - Throws: ``ApusError`` `.runState` if there is none.
  func node(
    of client: Int, by deadline: ContinuousClock.Instant, place: String
  ) async throws -> UInt64 {
    while true {
      if let node = nodes[client] {
        guard online.contains(node) else {
          throw ApusError(
            .runState, at: place, "its SuperNode is offline",
            remedy: "Start the SuperNode again; the client then takes part in later rounds")
        }
        return node
      }
      guard ContinuousClock.now < deadline else { throw Mailbox.late(place) }
      try await Task.sleep(for: .milliseconds(200))
    }
  }
}

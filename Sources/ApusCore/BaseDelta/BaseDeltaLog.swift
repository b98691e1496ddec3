public import ApusBase

/// A server's base delta: the sum, the latest changes, and which of them each client has.
///
/// A client that missed rounds gets the changes that it lacks with its next brief, or the whole sum
/// where the log does not reach back so far. The log holds no more elements than the sum, so no
/// brief carries more than one dense matrix a site.
///
/// - Source: cards FLoRA and FedEx-LoRA, "Messages": a log of rounds, or the accumulated matrix.
public struct BaseDeltaLog: Sendable {
  /// The sum of all changes.
  public private(set) var delta = BaseDelta()
  /// Number of changes.
  public private(set) var version = 0
  /// The latest changes; the last one made the present version.
  private var changes: [BaseChange] = []
  /// The version that a client had with its last update, by the client's index.
  private var held: [Int: Int] = [:]

  static let versionKey = "base_version"
  private static let heldPrefix = "base_held."

  /// Of a server that changed nothing yet.
  public init() {}

  /// Adds a change to the sum; an empty one leaves everything as it is.
  ///
  /// - Parameters:
  ///   - change: What is added on all sides.
  ///   - sent: What clients are sent of it, if they know how to complete that; nil for all of it.
  /// - Throws: ``ApusError`` `.shapeMismatch` if it does not fit earlier ones.
  public mutating func append(
    _ change: BaseChange, sentAs sent: BaseChange? = nil
  ) throws(ApusError) {
    guard !change.isEmpty else { return }
    try delta.add(change)
    version += 1
    changes.append(sent ?? change)
    var elements = changes.reduce(0) { $0 + $1.tensors.elementCount }
    while elements > delta.elementCount {
      elements -= changes.removeFirst().tensors.elementCount
    }
  }

  /// Puts what a client lacks into its brief.
  public func complete(_ brief: inout Message, for client: ClientID) {
    brief.fields[Self.versionKey] = .int(version)
    let known = held[client.index] ?? 0
    guard known < version else { return }
    guard version - known <= changes.count else {
      brief.tensors = brief.tensors.merging(delta.named)
      return
    }
    for missed in known..<version {
      let change = changes[changes.count - (version - missed)]
      brief.tensors = brief.tensors.merging(change.tensors.above(Self.prefix(missed)))
    }
  }

  /// Where the tensors of the change that follows a version are in a message.
  static func prefix(_ version: Int) -> String { "\(BaseDelta.prefix)change.\(version)." }

  /// Takes note of the version that a client has, from its update.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if there is no such version.
  public mutating func confirm(_ update: Message, from client: ClientID) throws(ApusError) {
    guard let known = update.fields[Self.versionKey]?.int, (0...version).contains(known) else {
      throw ApusError(
        .invalidMessage, at: "\(client), \(Self.versionKey)",
        "the update does not say which of \(version) base deltas it was trained on",
        remedy: "Send the version that the brief brought")
    }
    held[client.index] = known
  }

  /// Whether a client has answered a brief, and so has what the first one brought.
  public func hasHeard(from client: ClientID) -> Bool { held[client.index] != nil }

  /// Groups of tensors for a snapshot.
  public var groups: [String: NamedTensors] {
    var logged = NamedTensors()
    for (index, change) in changes.enumerated() {
      logged = logged.merging(change.tensors.above("\(index)."))
    }
    return ["base": delta.tensors, "changes": logged]
  }

  /// Fields for the same snapshot.
  public var fields: [String: FieldValue] {
    var fields = [
      Self.versionKey: FieldValue.int(version), "base_changes": .int(changes.count),
    ]
    for (client, version) in held { fields["\(Self.heldPrefix)\(client)"] = .int(version) }
    return fields
  }

  /// Goes on from a snapshot with these groups and fields.
  ///
  /// - Throws: ``ApusError`` `.runState` if it has none of them.
  public init(_ snapshot: Snapshot) throws(ApusError) {
    guard let version = snapshot.fields[Self.versionKey]?.int,
      let count = snapshot.fields["base_changes"]?.int, (0...max(0, version)).contains(count)
    else {
      throw ApusError(
        .runState, at: "server state", "the snapshot holds no base delta",
        remedy: "Resume the run with the method that started it")
    }
    self.version = version
    delta = BaseDelta(tensors: snapshot.group("base"))
    let logged = snapshot.group("changes")
    changes = (0..<count).map { BaseChange(tensors: logged.below("\($0).")) }
    for (name, value) in snapshot.fields {
      guard let client = name.removing(prefix: Self.heldPrefix).flatMap({ Int($0) }) else {
        continue
      }
      held[client] = value.int
    }
  }
}

public import ApusBase

/// A client's base delta: its own copy of what the server added, brought up to date by each brief.
///
/// It stays on the client through rounds in which the client is not drawn. All clients add the same
/// changes in the same order, so their copies of one version have the same bits.
public struct BaseDeltaCopy: Sendable {
  /// The sum of the changes so far.
  public private(set) var delta = BaseDelta()
  /// Number of changes in it.
  public private(set) var version = 0

  /// Of a client that has the checkpoint alone.
  public init() {}

  /// Adds what a brief brings.
  ///
  /// - Parameters:
  ///   - brief: Holds the changes that the client lacks, or the sum of all.
  ///   - completing: Makes of a change as it is sent the one that is added; the same one as the
  ///     server's, given to ``BaseDeltaLog/append(_:sentAs:)``.
  /// - Throws: ``ApusError`` `.invalidMessage` if the brief leaves a gap, `.shapeMismatch` if a
  ///   change does not fit; the copy is then as before.
  public mutating func update(
    from brief: Message,
    completing: (BaseChange) throws(ApusError) -> BaseChange = { $0 }
  ) throws(ApusError) {
    guard let target = brief.fields[BaseDeltaLog.versionKey]?.int, target >= version else {
      throw missing("the brief does not say which base delta it goes with, or an older one")
    }
    guard target > version else { return }
    var next = delta
    let whole = BaseDelta(in: brief.tensors)
    if whole.isEmpty {
      for index in version..<target {
        let change = BaseChange(tensors: brief.tensors.below(BaseDeltaLog.prefix(index)))
        guard !change.isEmpty else { throw missing("change \(index) of the base is missing") }
        try next.add(try completing(change))
      }
    } else {
      next = BaseDelta(tensors: whole.tensors.copied())
    }
    (delta, version) = (next, target)
  }

  private func missing(_ problem: String) -> ApusError {
    ApusError(
      .invalidMessage, at: "brief", problem,
      remedy: "Let server and client go on from checkpoints of one run")
  }

  /// Lets an update say which base delta it was trained on.
  public func stamp(_ update: inout Message) {
    update.fields[BaseDeltaLog.versionKey] = .int(version)
  }

  /// What the client keeps; nothing before the first change.
  public var snapshot: Snapshot {
    guard version > 0 else { return Snapshot() }
    return Snapshot(
      groups: ["base": delta.tensors], fields: [BaseDeltaLog.versionKey: .int(version)])
  }

  /// Goes on from what a client kept.
  ///
  /// - Throws: ``ApusError`` `.runState` if it is something else.
  public mutating func restore(_ snapshot: Snapshot) throws(ApusError) {
    guard !snapshot.isEmpty else {
      self = BaseDeltaCopy()
      return
    }
    let tensors = snapshot.group("base")
    guard let version = snapshot.fields[BaseDeltaLog.versionKey]?.int,
      tensors.count == snapshot.tensors.count
    else {
      throw ApusError(
        .runState, at: "client state", "the client keeps no base delta, but something else",
        remedy: "Resume the run with the method that started it")
    }
    (delta, self.version) = (BaseDelta(tensors: tensors), version)
  }
}

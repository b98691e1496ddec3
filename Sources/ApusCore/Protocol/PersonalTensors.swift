public import ApusBase

/// Tensors that one client keeps between its rounds, bit for bit; they are stored, never sent.
///
/// A client that has not trained yet keeps nothing, so a federation of many clients stores only
/// what was learned.
public struct PersonalTensors: Sendable {
  private let start: NamedTensors
  private var kept: NamedTensors?

  /// Declares the tensors that persist, by their start values.
  public init(startingAt start: NamedTensors) { self.start = start }

  /// The client's own values; the start values until it has trained.
  public var values: NamedTensors { kept ?? start }

  /// Keeps the declared ones among these tensors.
  public mutating func keep(_ tensors: NamedTensors) {
    kept = tensors.filtered { start[$0] != nil }
  }

  /// What is stored; empty until the client has trained.
  public var snapshot: Snapshot { Snapshot(tensors: kept ?? NamedTensors()) }

  /// Goes on from a snapshot of the same client.
  ///
  /// - Parameter snapshot: What ``snapshot`` was.
  /// - Throws: ``ApusError`` `.shapeMismatch` if it holds other tensors than the declared ones;
  ///   the values are then as before.
  public mutating func restore(_ snapshot: Snapshot) throws(ApusError) {
    guard !snapshot.isEmpty else {
      kept = nil
      return
    }
    try snapshot.tensors.requireShapes(of: start, at: "client state")
    kept = snapshot.tensors
  }
}

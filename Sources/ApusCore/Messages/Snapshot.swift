public import ApusBase
internal import ApusTorch
public import Foundation

/// What a half keeps between rounds: never sent, only stored, so that a run can be resumed.
public struct Snapshot: Sendable {
  /// The tensors, by name.
  public var tensors: NamedTensors
  /// Small values beside the tensors.
  public var fields: [String: FieldValue]

  /// A snapshot of these tensors and fields; of nothing, for a half that keeps nothing.
  public init(tensors: NamedTensors = NamedTensors(), fields: [String: FieldValue] = [:]) {
    self.tensors = tensors
    self.fields = fields
  }

  /// A snapshot of several groups of tensors, each under its name.
  public init(groups: [String: NamedTensors], fields: [String: FieldValue] = [:]) {
    var all: [String: Tensor] = [:]
    for (group, tensors) in groups {
      for (name, tensor) in tensors { all["\(group)/\(name)"] = tensor }
    }
    self.init(tensors: NamedTensors(all), fields: fields)
  }

  /// The tensors of one group, under their own names.
  public func group(_ group: String) -> NamedTensors {
    var found: [String: Tensor] = [:]
    for (name, tensor) in tensors {
      if let own = name.removing(prefix: "\(group)/") { found[own] = tensor }
    }
    return NamedTensors(found)
  }

  /// The tensors of one group, which must have the names and shapes of `expected`.
  public func group(_ group: String, like expected: NamedTensors) throws(ApusError) -> NamedTensors
  {
    let found = self.group(group)
    try found.requireShapes(of: expected, at: "snapshot")
    return found
  }

  /// Whether nothing is kept.
  public var isEmpty: Bool { tensors.isEmpty && fields.isEmpty }

  /// The bytes that are stored.
  public func encoded() throws(ApusError) -> Data {
    try Envelope.encode(tensors, fields, kind: "snapshot")
  }

  /// Reads a snapshot; throws `.invalidMessage` if the bytes are none.
  public init(encoded bytes: Data, at place: String) throws(ApusError) {
    (tensors, fields) = try Envelope.decode(bytes, kind: "snapshot", at: place)
  }
}

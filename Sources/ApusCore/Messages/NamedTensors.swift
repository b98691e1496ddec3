public import ApusBase
public import ApusTorch

/// Tensors by name, always in the order of their names, so that every walk over them is the same.
public struct NamedTensors: Sendable, Sequence {
  private var values: [String: Tensor]

  /// The names, sorted by their bytes.
  public private(set) var names: [String]

  /// No tensors.
  public init() { self.init([:]) }

  /// Takes the tensors of a dictionary.
  public init(_ values: [String: Tensor]) {
    self.values = values
    names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The tensor of this name; setting nil removes it.
  public subscript(name: String) -> Tensor? {
    get { values[name] }
    set {
      let known = values[name] != nil
      values[name] = newValue
      if known != (newValue != nil) { self = NamedTensors(values) }
    }
  }

  /// Number of tensors.
  public var count: Int { names.count }

  /// Whether there are none.
  public var isEmpty: Bool { names.isEmpty }

  /// Number of elements of all tensors.
  public var elementCount: Int { values.values.reduce(0) { $0 + $1.count } }

  /// Names and tensors in order.
  public func makeIterator() -> AnyIterator<(name: String, tensor: Tensor)> {
    var remaining = names.makeIterator()
    return AnyIterator { [values] in
      guard let name = remaining.next(), let tensor = values[name] else { return nil }
      return (name, tensor)
    }
  }

  /// The tensors in order of their names.
  public var tensors: [Tensor] { names.compactMap { values[$0] } }

  /// Only those whose name fulfils the condition.
  public func filtered(_ isIncluded: (String) -> Bool) -> NamedTensors {
    NamedTensors(values.filter { isIncluded($0.key) })
  }

  /// The same names with other tensors.
  public func mapValues(_ transform: (Tensor) throws -> Tensor) rethrows -> NamedTensors {
    NamedTensors(try values.mapValues(transform))
  }

  /// With the tensors of `other` added; of equal names, those of `other`.
  public func merging(_ other: NamedTensors) -> NamedTensors {
    NamedTensors(values.merging(other.values) { _, new in new })
  }

  /// Copies with memory of their own and no graph: what may cross a boundary.
  public func copied() -> NamedTensors { mapValues { $0.detached().cloned() } }

  /// Whether names, shapes, dtypes and all bits are the same.
  public func isIdentical(to other: NamedTensors) -> Bool {
    names == other.names
      && names.allSatisfy { name in
        guard let mine = values[name], let theirs = other.values[name] else { return false }
        return mine.isIdentical(to: theirs)
      }
  }

  /// The name of the first tensor that holds a NaN or an infinity.
  public var firstNonFinite: String? {
    first { $0.tensor.dtype.isFloatingPoint && !$0.tensor.isFinite.allTrue }?.name
  }

  /// Compares names and shapes.
  ///
  /// - Parameters:
  ///   - expected: What the names and shapes should be.
  ///   - place: Round and client, or file, for the error.
  /// - Throws: ``ApusError`` `.shapeMismatch`, naming the first tensor that is missing, not
  ///   expected, or of another shape.
  public func requireShapes(of expected: NamedTensors, at place: String) throws(ApusError) {
    for (name, tensor) in expected {
      guard let mine = values[name] else {
        throw ApusError(
          .shapeMismatch, at: "\(place), \(name)", "the tensor is missing",
          remedy: "Send every shared tensor in each message")
      }
      guard mine.shape == tensor.shape else {
        throw ApusError(
          .shapeMismatch, at: "\(place), \(name)",
          "expected shape \(tensor.shape), got \(mine.shape)",
          remedy: "Give all clients one configuration of the adapter, ranks included")
      }
    }
    if let extra = names.first(where: { expected[$0] == nil }) {
      throw ApusError(
        .shapeMismatch, at: "\(place), \(extra)", "no such tensor is expected",
        remedy: "Send the shared tensors only")
    }
  }
}

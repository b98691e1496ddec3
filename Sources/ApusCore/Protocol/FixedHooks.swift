public import ApusTorch

/// The same masks in every step.
public final class FixedMasks: StepHook {
  private let fixed: [String: StepMask]

  /// Keeps what the masks do not allow.
  ///
  /// - Parameters:
  ///   - allowed: 1 where an element may move, 0 elsewhere, by name.
  ///   - extent: What is kept from the others.
  public init(_ allowed: NamedTensors, _ extent: StepMask.Extent = .update) {
    fixed = Dictionary(
      uniqueKeysWithValues: allowed.map { ($0.name, StepMask($0.tensor, extent)) })
  }

  public func masks(_ step: LocalStep) -> [String: StepMask] { fixed }
}

/// A penalty that a method writes as a function.
public final class Penalty: StepHook {
  private let value: (LocalStep) throws -> Tensor?

  /// Adds what the function gives; nil for nothing.
  public init(_ value: @escaping (LocalStep) throws -> Tensor?) { self.value = value }

  public func penalty(_ step: LocalStep) throws -> Tensor? { try value(step) }
}

extension LocalPhase {
  /// The leaf of this name, if it trains in this phase.
  public func leaf(_ name: String) -> Tensor? { trainables.first { $0.name == name }?.leaf }
}

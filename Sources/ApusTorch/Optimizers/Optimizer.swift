public import ApusBase

/// A rule that turns gradients into new parameters, and what it remembers between steps.
///
/// A value: a copy goes its own way, and neither sees the other's steps.
public protocol Optimizer: Sendable {
  /// Updates the parameters in place; one whose gradient is nil is left alone entirely.
  ///
  /// Such a parameter neither decays nor counts the step. A gradient of another shape than its
  /// parameter is a failed operation, thrown by the next ``Tensor/check(_:)``.
  ///
  /// - Parameters:
  ///   - parameters: float32 leaves, the same ones in the same order at every step.
  ///   - gradients: One for each parameter.
  ///   - learningRate: Of this step, after its schedule; no unit.
  mutating func step(_ parameters: [Tensor], gradients: [Tensor?], learningRate: Double)

  /// Everything to go on from later, bit for bit: `3.step` (int64), `3.exp_avg` ….
  ///
  /// The number is the parameter's place in the list, the name is PyTorch's. Later steps do not
  /// change the tensors.
  var state: [String: Tensor] { get }

  /// Goes on from a state that the same kind of optimizer gave.
  ///
  /// - Throws: ``ApusError`` `.checkpointMismatch` if the names are not those that it keeps.
  mutating func restore(_ state: [String: Tensor]) throws(ApusError)
}

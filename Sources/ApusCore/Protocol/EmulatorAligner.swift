public import ApusBase

/// Trains an emulator to stand for the blocks whose place it takes, on rows of the server's own.
///
/// The server has the whole model, which no message brings, and rows that nobody has to protect.
public protocol EmulatorAligner: AnyObject {
  /// Moves the adapters of the emulator; every other tensor keeps its bits.
  ///
  /// - Parameters:
  ///   - values: The trainable tensors as they are, the emulator's among them.
  ///   - steps: Optimizer steps; 0 changes nothing.
  ///   - divergenceWeight: λ ≥ 0, weight of the distance between outputs beside that between hidden
  ///     states.
  ///   - random: Source of the order of rows.
  /// - Returns: The emulator's tensors, and what was measured on the way.
  /// - Throws: ``ApusError`` `.nonFinite` if the loss is no number, `.shapeMismatch` for values of
  ///   another model.
  func align(
    _ values: NamedTensors, steps: Int, divergenceWeight: Double, random: RandomStream
  ) throws -> Alignment
}

/// What an alignment came to.
public struct Alignment: Sendable {
  /// The emulator's tensors.
  public var emulator: NamedTensors
  /// Mean over the steps of the relative squared distance between hidden states; 0 without steps.
  public var representation: Double
  /// Mean over the steps of the divergence of the next tokens' distributions, in nats; 0 where it
  /// has no weight.
  public var divergence: Double

  /// The distances as a round reports them.
  public var metrics: Metrics {
    ["emulator_representation": representation, "emulator_divergence": divergence]
  }

  /// Collects the result.
  public init(emulator: NamedTensors, representation: Double, divergence: Double) {
    self.emulator = emulator
    self.representation = representation
    self.divergence = divergence
  }
}

public import ApusBase

/// Trains an emulator to stand for the blocks whose place it takes, on rows of the server's own.
///
/// The server has the whole model, which no message brings, and rows that nobody has to protect.
public protocol EmulatorAligner: AnyObject {
  /// Moves the adapters of the emulator; every other tensor keeps its bits.
  ///
  /// - Parameters:
  ///   - values: The trainable tensors as they are, the emulator's among them.
  ///   - work: How much, and on which chance.
  /// - Returns: The emulator's tensors, and what was measured on the way.
  /// - Throws: ``ApusError`` `.nonFinite` if the loss is no number, `.shapeMismatch` for values of
  ///   another model.
  func align(_ values: NamedTensors, _ work: AlignmentWork) throws -> Alignment
}

/// How an emulator is aligned once.
public struct AlignmentWork: Sendable {
  /// Optimizer steps; 0 changes nothing.
  public var steps: Int
  /// λ ≥ 0, weight of the distance between outputs beside that between hidden states.
  public var divergenceWeight: Double
  /// Source of the order of rows.
  public var random: RandomStream

  /// Describes the work.
  public init(steps: Int, divergenceWeight: Double, random: RandomStream) {
    self.steps = steps
    self.divergenceWeight = divergenceWeight
    self.random = random
  }
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

  /// Collects the result.
  public init(emulator: NamedTensors, representation: Double, divergence: Double) {
    self.emulator = emulator
    self.representation = representation
    self.divergence = divergence
  }
}

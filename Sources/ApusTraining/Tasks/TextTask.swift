public import ApusBase
public import ApusModels
public import ApusTorch
public import Foundation

/// A model with what it is trained to do: it owns loss and metrics.
public protocol TextTask {
  /// Which task it is.
  var kind: TaskKind { get }

  /// Mean loss of a training step, a scalar in nats on the graph.
  ///
  /// - Parameters:
  ///   - rows: All rows.
  ///   - positions: Those of the step.
  ///   - random: Source of dropout; nil for none.
  /// - Returns: The loss.
  /// - Throws: ``ApusError`` `.invalidData` for rows that the model cannot read.
  func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor

  /// Sums over the rows at these positions, in evaluation; their metrics follow from
  /// ``TaskKind/metrics(of:)``.
  func sums(_ rows: TokenizedRows, _ positions: [Int]) throws(ApusError) -> [String: Double]

  /// Writes the model as it is now to a folder that transformers opens; arguments as in
  /// `TextClassifier.write(to:like:labels:)`.
  func write(to folder: URL, like checkpoint: Checkpoint, labels: [String]) throws(ApusError)
}

/// A task that shows what the last layer sees, for methods that compare rows by it.
public protocol FeatureTask: TextTask {
  /// Mean loss of a training step, a scalar in nats, and what the last layer saw of each row.
  ///
  /// - Parameters:
  ///   - rows: All rows.
  ///   - positions: Those of the step.
  ///   - random: Source of dropout; nil for none.
  /// - Returns: A scalar and [B, D] in float32, both on the graph. Of a row with tokens to come, the
  ///   features are those of its last token.
  /// - Throws: ``ApusError`` `.invalidData` for rows that the model cannot read.
  func run(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> (loss: Tensor, features: Tensor)

  /// What the last layer sees of each row before it answers [B, D], in evaluation: of a row with a
  /// response, the last token of its prompt.
  func features(_ rows: TokenizedRows, _ positions: [Int]) throws(ApusError) -> Tensor
}

extension FeatureTask {
  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor { try run(rows, positions, random: random).loss }
}

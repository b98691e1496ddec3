public import ApusBase
import ApusCore
public import ApusModels
public import ApusTorch
public import Foundation

/// One class a text.
public struct ClassificationTask: FeatureTask {
  /// The model that gives scores.
  public let classifier: TextClassifier
  private let companion: Companion?
  private let device: Device

  /// The task of this model, beside which a companion may answer too.
  public init(_ classifier: TextClassifier, companion: Companion? = nil, device: Device) {
    self.classifier = classifier
    self.companion = companion
    self.device = device
  }

  public var kind: TaskKind { .sequenceClassification }

  public func run(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> (loss: Tensor, features: Tensor) {
    let (scores, features) = scores(try rows.batch(positions, device: device), random: random)
    return (crossEntropy(scores, rows.targets(positions, device: device)), features)
  }

  /// Scores [B, C] and what the last layer saw [B, D], both in float32.
  private func scores(
    _ batch: TokenBatch, random: RandomStream?
  ) -> (scores: Tensor, features: Tensor) {
    var features = classifier.features(batch, random: random)
    if let companion, companion.output == .features, let weight = companion.weight {
      features = weight.mixed(features, companion(batch))
    }
    var scores = classifier.logits(of: features, batch, random: random)
    if let companion, companion.output == .scores, let weight = companion.weight {
      scores = weight.mixed(scores, companion(batch))
    }
    return (scores, features)
  }

  public func features(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> Tensor {
    let batch = try rows.batch(positions, device: device)
    return withoutGradient { scores(batch, random: nil).features }
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    let batch = try rows.batch(positions, device: device)
    var sums = ClassificationScores()
    let logits = withoutGradient { scores(batch, random: nil).scores }
    sums.add(logits: logits, labels: rows.targets(positions, device: device))
    return sums.sums
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try classifier.write(to: folder, like: checkpoint, labels: labels)
  }
}

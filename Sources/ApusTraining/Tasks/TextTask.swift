public import ApusBase
import ApusCore
public import ApusModels
public import ApusTorch
public import Foundation

/// A model with what it is trained to do: it owns loss and metrics.
public protocol TextTask {
  /// Which task it is.
  var kind: TaskKind { get }

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

  /// Sums over the rows at these positions, in evaluation; their metrics follow from
  /// ``TaskKind/metrics(of:)``.
  func sums(_ rows: TokenizedRows, _ positions: [Int]) throws(ApusError) -> [String: Double]

  /// Writes the model as it is now to a folder that transformers opens; arguments as in
  /// `TextClassifier.write(to:like:labels:)`.
  func write(to folder: URL, like checkpoint: Checkpoint, labels: [String]) throws(ApusError)
}

extension TextTask {
  /// Mean loss of a training step, a scalar in nats on the graph.
  ///
  /// - Throws: ``ApusError`` `.invalidData` for rows that the model cannot read.
  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream
  ) throws(ApusError) -> Tensor { try run(rows, positions, random: random).loss }
}

/// One class a text.
public struct ClassificationTask: TextTask {
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

/// The next token of a response.
public struct CausalLanguageTask: TextTask {
  /// The model that scores what follows.
  public let model: CausalLanguageModel
  private let device: Device

  /// The task of this model.
  public init(_ model: CausalLanguageModel, device: Device) {
    self.model = model
    self.device = device
  }

  public var kind: TaskKind { .causalLanguageModel }

  public func run(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> (loss: Tensor, features: Tensor) {
    let batch = try rows.batch(positions, device: device)
    let hidden = model.hidden(batch, random: random)
    let (logits, wanted) = model.scores(of: hidden, targets: rows.nextTokens(positions))
    return (crossEntropy(logits, wanted), batch.layout.lastRows(of: hidden).to(.float32))
  }

  public func features(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> Tensor {
    let batch = try rows.prompts(positions, device: device)
    return withoutGradient { batch.layout.lastRows(of: model.hidden(batch)).to(.float32) }
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    let batch = try rows.batch(positions, device: device)
    var scores = LanguageScores()
    withoutGradient {
      let (logits, targets) = model.scores(
        batch, targets: rows.nextTokens(positions), random: nil)
      scores.add(logits: logits, targets: targets)
    }
    return scores.sums
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try model.write(to: folder, like: checkpoint)
  }
}

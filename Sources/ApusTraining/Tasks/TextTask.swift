public import ApusBase
public import ApusModels
public import ApusTorch
public import Foundation

/// A model with what it is trained to do: it owns loss and metrics.
public protocol TextTask {
  /// Which task it is.
  var kind: TaskKind { get }

  /// Mean loss of a training step, a scalar in nats.
  ///
  /// - Parameters:
  ///   - rows: All rows.
  ///   - positions: Those of the step.
  ///   - random: Source of dropout.
  /// - Returns: A scalar on the graph.
  /// - Throws: ``ApusError`` `.invalidData` for rows that the model cannot read.
  func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream
  ) throws(ApusError) -> Tensor

  /// Sums over the rows at these positions, in evaluation; their metrics follow from
  /// ``TaskKind/metrics(of:)``.
  func sums(_ rows: TokenizedRows, _ positions: [Int]) throws(ApusError) -> [String: Double]

  /// Writes the model as it is now to a folder that transformers opens; arguments as in
  /// `TextClassifier.write(to:like:labels:)`.
  func write(to folder: URL, like checkpoint: Checkpoint, labels: [String]) throws(ApusError)
}

/// One class a text.
public struct ClassificationTask: TextTask {
  /// The model that gives scores.
  public let classifier: TextClassifier
  private let device: Device

  /// The task of this model.
  public init(_ classifier: TextClassifier, device: Device) {
    self.classifier = classifier
    self.device = device
  }

  public var kind: TaskKind { .sequenceClassification }

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream
  ) throws(ApusError) -> Tensor {
    classifier.loss(
      try rows.batch(positions, device: device), labels: rows.targets(positions, device: device),
      random: random)
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    var scores = ClassificationScores()
    let logits = classifier.evaluatedLogits(try rows.batch(positions, device: device))
    scores.add(logits: logits, labels: rows.targets(positions, device: device))
    return scores.sums
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

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream
  ) throws(ApusError) -> Tensor {
    model.loss(
      try rows.batch(positions, device: device), targets: rows.nextTokens(positions),
      random: random)
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

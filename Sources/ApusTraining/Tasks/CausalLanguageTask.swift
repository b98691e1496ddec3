public import ApusBase
import ApusCore
public import ApusModels
public import ApusTorch
public import Foundation

/// The next token of a response.
public struct CausalLanguageTask: FeatureTask {
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

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// Blocks that are computed again in the backward pass.
@Suite struct RecomputationLaws {
  private func fixture(_ path: String) -> URL {
    packageRoot.appending(path: "Tests/Fixtures/\(path)")
  }

  /// Loss and gradients of a training step with dropout.
  private func step(
    _ model: CausalLanguageModel, targets: [String], values: inout NamedTensors?,
    isRecomputed: Bool
  ) throws -> (loss: Tensor, gradients: [Tensor?]) {
    let adapted = try AdaptedModel(
      model,
      lora {
        $0.targets = .names(targets)
        $0.modulesToSave = []
        $0.dropout = 0.2
        $0.bias = .all
      }, random: RandomStream(seed: 2))
    if let values { try adapted.load(values) } else { try adapted.scramble(seed: 3) }
    values = adapted.values
    model.recomputedLeaves = isRecomputed ? { adapted.trainables.map(\.leaf) } : nil
    defer {
      model.recomputedLeaves = nil
      adapted.detach()
    }
    let examples = [[5, 6, 7, 8, 9, 10], [11, 12, 13]]
    let batch = try TokenBatch(examples)
    let loss = model.loss(
      batch, targets: CausalLanguageModel.targets(examples), random: RandomStream(seed: 4))
    return (loss.detached(), loss.gradients(by: adapted.trainables.map(\.leaf)))
  }

  @Test(arguments: ["llama3", "mistral", "qwen2", "gemma2", "gpt2"])
  func `decoders have the same loss and gradients, bit for bit`(name: String) throws {
    let checkpoint = try Checkpoint(folder: fixture("decoders/\(name)/tiny"))
    let model = try Backbone(checkpoint).makeLanguageModel()
    let targets = checkpoint.architecture.ia3Targets
    var values: NamedTensors?
    let kept = try step(model, targets: targets, values: &values, isRecomputed: false)
    let again = try step(model, targets: targets, values: &values, isRecomputed: true)
    #expect(kept.loss.isIdentical(to: again.loss))
    #expect(kept.gradients.count == again.gradients.count)
    for (a, b) in zip(kept.gradients, again.gradients) {
      #expect(try #require(a).isIdentical(to: #require(b)))
    }
  }

  @Test(arguments: ["roberta", "distilbert", "albert", "deberta_v2/v3"])
  func `so have encoders`(name: String) throws {
    let model = try Backbone(Checkpoint(folder: fixture("\(name)/tiny"))).makeClassifier(
      labels: 3, pooling: .cls, random: RandomStream(seed: 1))
    let targets = try Checkpoint(folder: fixture("\(name)/tiny")).architecture.defaultTargets
    let adapted = try AdaptedModel(
      model, lora { $0.targets = .names(targets) }, random: RandomStream(seed: 2))
    try adapted.scramble(seed: 3)
    let batch = try TokenBatch([[5, 6, 7, 8], [9, 10]])
    let leaves = adapted.trainables.map(\.leaf)
    func gradients() -> [Tensor?] {
      model.loss(batch, labels: Tensor([0, 2], shape: [2]), random: RandomStream(seed: 4))
        .gradients(by: leaves)
    }
    let kept = gradients()
    model.recomputedLeaves = { leaves }
    for (a, b) in zip(kept, gradients()) {
      #expect(try #require(a).isIdentical(to: #require(b)))
    }
  }
}

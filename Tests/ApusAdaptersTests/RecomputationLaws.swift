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

  /// Sees, at a site inside of a block, whether a graph is recorded there.
  private final class Watch: ProjectionAdapter {
    private(set) var isRecording: [Bool] = []

    func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
      isRecording.append(isRecordingGradient)
      return output
    }
  }

  @Test(arguments: [true, false])
  func `blocks run again only where a graph is recorded, with or without dropout`(
    drops: Bool
  ) throws {
    let model = try Backbone(Checkpoint(folder: fixture("decoders/llama3/tiny")))
      .makeLanguageModel()
    let adapted = try AdaptedModel(
      model, lora { ($0.targets, $0.modulesToSave) = (.names(["q_proj"]), []) },
      random: RandomStream(seed: 2))
    let watch = Watch()
    var sites = 0
    model.walk { _, module in
      guard let site = module as? ProjectionSite else { return }
      site.attach(watch, named: "watch")
      sites += 1
    }
    model.recomputedLeaves = { adapted.trainables.map(\.leaf) }
    let batch = try TokenBatch([[5, 6, 7, 8], [9, 10]])
    let rows = model.hidden(batch, random: drops ? RandomStream(seed: 4) : nil)
    #expect(watch.isRecording == Array(repeating: false, count: sites))
    _ = rows.squared.sum().gradients(by: adapted.trainables.map(\.leaf))
    #expect(watch.isRecording.count { $0 } == sites && watch.isRecording.count == 2 * sites)
    try Tensor.check()
    withoutGradient { _ = model.hidden(batch) }
    #expect(watch.isRecording.count == 3 * sites)
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

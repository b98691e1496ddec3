import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusTorch
import ArgumentParser
import Foundation

/// One LoRA step of a language model: memory after loading and at its peak, and time.
struct LanguageBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "language", abstract: "Memory and time of one LoRA step of a language model.")

  @Argument(help: "A checkpoint folder.")
  var checkpoint: String

  @Option(help: "float32 or bfloat16.")
  var precision = "bfloat16"

  @Option(help: "Tokens of the one text of the step.")
  var tokens = 256

  @Flag(help: "Compute blocks again in the backward pass.")
  var activationCheckpointing = false

  func run() throws {
    LibTorch.limitHeldMemory()
    let before = peakMegabytes()
    let opened = try Checkpoint(folder: URL(fileURLWithPath: checkpoint))
    let precision = Precision(rawValue: precision) ?? .bfloat16
    let model = try Backbone(opened, precision: precision).makeLanguageModel()
    let ids = (0..<tokens).map { 5 + ($0 * 7_919) % (model.vocabularySize - 5) }
    let batch = try TokenBatch([ids])
    let clock = ContinuousClock()
    var begin = clock.now
    _ = withoutGradient { model.hidden(batch).sum().item }
    try Tensor.check("forward")
    report("forward", clock.now - begin, before)

    var configuration = AdapterConfiguration()
    configuration.targets = .names(opened.architecture.defaultTargets)
    configuration.modulesToSave = []
    let adapted = try AdaptedModel(model, configuration, random: RandomStream(seed: 1))
    let leaves = adapted.trainables.map(\.leaf)
    if activationCheckpointing { model.recomputedLeaves = { leaves } }
    begin = clock.now
    let loss = model.loss(
      batch, targets: CausalLanguageModel.targets([ids]), random: RandomStream(seed: 2))
    var optimizer = try OptimizerConfiguration.adamW.makeOptimizer()
    optimizer.step(leaves, gradients: loss.gradients(by: leaves), learningRate: 1e-3)
    try Tensor.check("step")
    report("step", clock.now - begin, before)
  }

  private func report(_ what: String, _ time: Duration, _ before: Double) {
    print(
      "\(what): \(format(time / .seconds(1))) s, peak \(format(peakMegabytes())) MB, "
        + "\(format(peakMegabytes() - before)) MB above the start")
  }
}

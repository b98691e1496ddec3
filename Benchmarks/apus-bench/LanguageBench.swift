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

  @Option(help: "float32, or bfloat16 (default).", transform: named)
  var precision: Precision = .bfloat16

  @Option(help: "Tokens of the one text of the step.")
  var tokens = 256

  @Option(help: "How projections are kept: none (default), int8 or nf4.", transform: named)
  var quantization: Quantization = .none

  @Option(help: "File of token ids, one number a line; without it, some of the vocabulary.")
  var ids: String?

  @Flag(help: "Compute blocks again in the backward pass.")
  var activationCheckpointing = false

  func run() throws {
    LibTorch.limitHeldMemory()
    let before = peakMegabytes()
    let opened = try Checkpoint(folder: URL(fileURLWithPath: checkpoint))
    let clock = ContinuousClock()
    var begin = clock.now
    let backbone = try Backbone(opened, precision: precision, quantization: quantization)
    let model = try backbone.makeLanguageModel()
    print("weights: \(format(Double(backbone.byteCount) / 1e6)) MB")
    report("loading", clock.now - begin, before)
    var ids = (0..<tokens).map { 5 + ($0 * 7_919) % (model.vocabularySize - 5) }
    if let file = self.ids {
      let text = try String(contentsOfFile: file, encoding: .utf8)
      ids = text.split(separator: "\n").prefix(tokens).compactMap { Int($0) }
    }
    let batch = try TokenBatch([ids])
    begin = clock.now
    let exact = withoutGradient {
      model.loss(batch, targets: CausalLanguageModel.targets([ids]), random: nil).item
    }
    try Tensor.check("forward")
    print("loss: \(String(format: "%.4f", exact)) nats a token")
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

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct QuantizedModelLaws {
  private func backbone(_ name: String, _ quantization: Quantization) throws -> Backbone {
    let folder = packageRoot.appending(path: "Tests/Fixtures/decoders/\(name)/tiny")
    return try Backbone(Checkpoint(folder: folder), quantization: quantization)
  }

  private let batch: TokenBatch
  private let targets: [Int]
  init() throws {
    let examples = [[5, 6, 7, 8, 9], [10, 11, 12]]
    batch = try TokenBatch(examples)
    targets = CausalLanguageModel.targets(examples)
  }

  @Test(arguments: ["llama", "gpt2"])
  func `projections take a quarter or an eighth, and scores stay near`(name: String) throws {
    let plain = try backbone(name, .none)
    let exact = try plain.makeLanguageModel().evaluatedLogits(batch)
    var former = plain.byteCount
    for (quantization, bound) in [(Quantization.int8, 0.03), (.nf4, 0.4)] {
      let small = try backbone(name, quantization)
      #expect(small.elementCount == plain.elementCount)
      #expect(small.byteCount < former)
      former = small.byteCount
      let found = try small.makeLanguageModel().evaluatedLogits(batch)
      let error = ((found - exact).squared.mean().item / exact.squared.mean().item).squareRoot()
      #expect(error > 0 && error < bound, "\(quantization): \(error)")
    }
  }

  @Test(arguments: ["llama", "gpt2"])
  func `products of bytes keep scores and gradients near, in the bytes of int8`(
    name: String
  ) throws {
    let (small, plain) = (try backbone(name, .w8a8), try backbone(name, .int8))
    #expect(small.byteCount == plain.byteCount)
    let configuration = lora {
      $0.targets = .names(small.checkpoint.architecture.defaultTargets)
      $0.modulesToSave = []
    }
    var found: [(scores: Tensor, gradients: [Tensor?])] = []
    for each in [try small.makeLanguageModel(), try plain.makeLanguageModel()] {
      let adapted = try AdaptedModel(each, configuration, random: RandomStream(seed: 2))
      try adapted.scramble(seed: 3)
      let loss = each.loss(batch, targets: targets, random: RandomStream(seed: 4))
      found.append(
        (each.evaluatedLogits(batch), loss.gradients(by: adapted.trainables.map(\.leaf))))
    }
    expectNear(found[0].scores, found[1].scores)
    for (a, b) in zip(found[0].gradients, found[1].gradients) {
      expectNear(try #require(a), try #require(b))
    }
  }

  /// Other numbers, but within 10 % of them as a whole.
  private func expectNear(_ a: Tensor, _ b: Tensor) {
    let error = ((a - b).squared.sum().item / b.squared.sum().item).squareRoot()
    #expect(error > 0 && error < 0.1, "\(error)")
  }

  @Test(arguments: ["llama", "gpt2"], [Quantization.int8, .nf4])
  func `LoRA trains on top as on the unpacked weights, and merges`(
    name: String, quantization: Quantization
  ) throws {
    let checkpoint = try backbone(name, quantization)
    let (model, plain) = (try checkpoint.makeLanguageModel(), try checkpoint.makeLanguageModel())
    for (_, parameter) in plain.parameters { parameter.value = parameter.value }
    #expect(model.parameters.contains { $0.parameter.packed != nil })
    #expect(plain.parameters.allSatisfy { $0.parameter.packed == nil })
    let configuration = lora {
      $0.targets = .names(checkpoint.checkpoint.architecture.defaultTargets)
      $0.modulesToSave = []
    }
    var gradients: [[Tensor?]] = []
    var values: NamedTensors?
    for each in [model, plain] {
      let adapted = try AdaptedModel(each, configuration, random: RandomStream(seed: 2))
      if let values { try adapted.load(values) } else { try adapted.scramble(seed: 3) }
      values = adapted.values
      let loss = each.loss(batch, targets: targets, random: RandomStream(seed: 4))
      gradients.append(loss.gradients(by: adapted.trainables.map(\.leaf)))
      let before = each.evaluatedLogits(batch)
      adapted.merge()
      expectClose(each.evaluatedLogits(batch), before, absolute: 1e-5, relative: 1e-4)
      adapted.detach()
    }
    for (a, b) in zip(gradients[0], gradients[1]) {
      expectClose(try #require(a), try #require(b), absolute: 1e-6, relative: 1e-4)
    }
  }
}

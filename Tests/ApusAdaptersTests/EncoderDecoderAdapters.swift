import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// Adapters that Python's PEFT wrote for encoder–decoders.
@Suite struct EncoderDecoderAdapters {
  /// A tiny model of `Tests/Fixtures`, and what Python made of it.
  private struct Fixture {
    let golden: EncoderDecoderGolden
    let checkpoint: Checkpoint
    let model: SequenceToSequenceModel
    let batch: SequencePairBatch

    init(_ name: String) throws {
      golden = try EncoderDecoderGolden(name)
      checkpoint = try Checkpoint(folder: golden.folder)
      model = try Backbone(checkpoint).makeSequenceToSequenceModel()
      batch = try model.batch(golden.sources, golden.targets)
    }

    /// LoRA at the targets that the catalogue names for the architecture.
    var customary: AdapterConfiguration {
      lora {
        $0.rank = 3
        $0.targets = .names(checkpoint.architecture.defaultTargets)
        $0.modulesToSave = []
      }
    }
  }

  @Test(arguments: EncoderDecoderGolden.names)
  func `a folder of Python's PEFT gives its logits, loss and gradients`(name: String) throws {
    let fixture = try Fixture(name)
    let (model, file) = (fixture.model, fixture.golden.file)
    let folder = try AdapterFolder(reading: fixture.golden.adapter)
    #expect(folder.task == .sequenceToSequence && folder.classCount == nil)
    let adapted = try AdaptedModel(model, folder)
    expectClose(
      model.evaluatedLogits(fixture.batch), try file.tensor("adapter.logits"), absolute: 1e-5,
      relative: 1e-4, "logits")
    let loss = model.loss(fixture.batch, random: nil)
    expectClose(loss, try file.tensor("adapter.loss"), absolute: 1e-6, relative: 1e-5, "loss")
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    let stored = file.names.filter { $0.hasPrefix("gradient/") }
    #expect(stored.count == adapted.trainables.count)
    for ((name, _), gradient) in zip(adapted.trainables, gradients) {
      let expected = try file.tensor("gradient/\(name)")
      // LED's global projections have no part in a source without global tokens.
      guard let gradient else {
        #expect(expected.magnitude.max().item == 0, "\(name)")
        continue
      }
      expectClose(gradient, expected, absolute: 1e-6, relative: 1e-3, name)
    }
    #expect(adapted.storedValues.isIdentical(to: folder.tensors))
  }

  @Test(arguments: EncoderDecoderGolden.names)
  func `a fresh adapter changes no bit, and a merged one gives the same`(name: String) throws {
    let fixture = try Fixture(name)
    let (model, batch) = (fixture.model, fixture.batch)
    let before = model.evaluatedLogits(batch)
    let adapted = try AdaptedModel(model, fixture.customary, random: RandomStream(seed: 2))
    #expect(model.evaluatedLogits(batch).isIdentical(to: before))
    try adapted.scramble(seed: 1)
    let changed = model.evaluatedLogits(batch)
    #expect(!changed.isIdentical(to: before))
    adapted.merge()
    expectClose(model.evaluatedLogits(batch), changed, absolute: 1e-5, relative: 1e-4)
    adapted.detach()
    #expect(model.evaluatedLogits(batch).isIdentical(to: before))
  }
}

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// Adapters that Python's PEFT wrote for encoders other than BERT.
@Suite struct EncoderAdapters {
  /// A tiny model of `Tests/Fixtures`, and what Python made of it.
  private struct Fixture {
    let golden: EncoderGolden
    let batch: TokenBatch
    let checkpoint: Checkpoint
    let model: TextClassifier

    init(_ name: String) throws {
      golden = try EncoderGolden(name)
      batch = try golden.batch
      checkpoint = try Checkpoint(folder: golden.folder)
      model = try Backbone(checkpoint).makeClassifier(
        labels: 3, pooling: .cls, random: RandomStream(seed: 1))
    }

    /// LoRA at the targets that the catalogue names for the architecture.
    var customary: AdapterConfiguration {
      lora {
        $0.rank = 3
        $0.targets = .names(checkpoint.architecture.defaultTargets)
      }
    }
  }

  @Test(arguments: EncoderGolden.names)
  func `a folder of Python's PEFT gives its logits, loss and gradients`(name: String) throws {
    let fixture = try Fixture(name)
    let (model, file) = (fixture.model, fixture.golden.file)
    let folder = try AdapterFolder(reading: fixture.golden.adapter)
    #expect(folder.classCount == 3)
    let adapted = try AdaptedModel(model, folder)
    expectClose(
      model.evaluatedLogits(fixture.batch), try file.tensor("adapter.logits"), absolute: 1e-5,
      relative: 1e-4, "logits")
    let loss = model.loss(fixture.batch, labels: try file.tensor("labels"), random: nil)
    expectClose(loss, try file.tensor("adapter.loss"), absolute: 1e-6, relative: 1e-5, "loss")
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    let stored = file.names.filter { $0.hasPrefix("gradient/") }
    #expect(stored.count == adapted.trainables.count)
    for ((name, _), gradient) in zip(adapted.trainables, gradients) {
      expectClose(
        try #require(gradient), try file.tensor("gradient/\(name)"), absolute: 1e-6,
        relative: 1e-3, name)
    }
    // Read, written and read again: the same tensors under the same names.
    #expect(adapted.storedValues.isIdentical(to: folder.tensors))
  }

  @Test(arguments: EncoderGolden.names)
  func `a fresh adapter at the customary targets changes no bit`(name: String) throws {
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

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"), arguments: EncoderGolden.names)
  func `folders of Apus give their logits in Python's PEFT`(name: String) throws {
    let fixture = try Fixture(name)
    let adapted = try AdaptedModel(
      fixture.model, fixture.customary, random: RandomStream(seed: 2))
    try adapted.scramble(seed: 3)
    try withTemporaryFolder { parent in
      let folder = parent.appending(path: "adapter")
      let notes = AdapterNotes(pooling: "cls", labels: ["a", "b", "c"])
      try adapted.folder(baseModel: "tiny", notes: notes).write(to: folder)
      let found = try Oracle.ask(
        fixture.checkpoint.folder, (fixture.golden.examples, fixture.golden.types),
        adapters: [folder])
      expectClose(
        fixture.model.evaluatedLogits(fixture.batch), try found.tensor("logits.0"),
        absolute: 1e-5, relative: 1e-4)
    }
  }

  @Test func `a drawn layer that no folder would hold is refused`() throws {
    let fixture = try Fixture("deberta_v2/v3")
    try withTemporaryFolder { folder in
      let names = ["config.json", "model.safetensors"]
      let stored = try SafetensorsFile(
        contentsOf: fixture.checkpoint.folder.appending(path: names[1]))
      try FileManager.default.copyItem(
        at: fixture.checkpoint.folder.appending(path: names[0]),
        to: folder.appending(path: names[0]))
      try Safetensors.write(
        try stored.names.filter { !$0.hasPrefix("pooler.") }.map { ($0, try stored.tensor($0)) },
        to: folder.appending(path: names[1]))
      let model = try Backbone(Checkpoint(folder: folder)).makeClassifier(
        labels: 3, pooling: .cls, random: RandomStream(seed: 1))
      #expect(model.drawnModules == ["pooler.dense"])
      var configuration = fixture.customary
      let error = #expect(throws: ApusError.self) {
        try AdaptedModel(model, configuration, random: RandomStream(seed: 2))
      }
      #expect(error?.remedy.contains("pooler.dense") == true)
      configuration.modulesToSave.append("pooler.dense")
      let adapted = try AdaptedModel(model, configuration, random: RandomStream(seed: 2))
      #expect(adapted.values.names.contains { $0.hasSuffix("pooler.dense.weight") })
    }
  }
}

import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

/// Adapters that Python's PEFT wrote for decoders.
@Suite struct DecoderAdapters {
  /// A tiny model of `Tests/Fixtures`, and what Python made of it.
  private struct Fixture {
    let golden: DecoderGolden
    let batch: TokenBatch
    let targets: [Int]
    let checkpoint: Checkpoint
    let model: CausalLanguageModel

    init(_ name: String) throws {
      golden = try DecoderGolden(name)
      (batch, targets) = try golden.training()
      checkpoint = try Checkpoint(folder: golden.folder.appending(path: "tiny"))
      model = try Backbone(checkpoint).makeLanguageModel()
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

  @Test(arguments: DecoderGolden.names)
  func `a folder of Python's PEFT gives its logits, loss and gradients`(name: String) throws {
    let fixture = try Fixture(name)
    let (model, file) = (fixture.model, fixture.golden.file)
    let folder = try AdapterFolder(reading: fixture.golden.folder.appending(path: "adapter"))
    #expect(folder.task == .causalLanguageModel && folder.classCount == nil)
    let adapted = try AdaptedModel(model, folder)
    #expect(folder.isTransposed == adapted.isStoredTransposed)
    expectClose(
      model.evaluatedLogits(fixture.batch), try fixture.golden.rows("adapter.logits", "right"),
      absolute: 1e-5, relative: 1e-4, "logits")
    let loss = model.loss(fixture.batch, targets: fixture.targets, random: nil)
    expectClose(loss, try file.tensor("adapter.loss"), absolute: 1e-6, relative: 1e-5, "loss")
    let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
    let stored = file.names.filter { $0.hasPrefix("gradient/") }
    #expect(stored.count == adapted.trainables.count)
    for ((name, _), gradient) in zip(adapted.trainables, gradients) {
      expectClose(
        try #require(gradient), try file.tensor("gradient/\(name)"), absolute: 1e-6,
        relative: 1e-3, name)
    }
    #expect(adapted.storedValues.isIdentical(to: folder.tensors))
  }

  @Test(arguments: DecoderGolden.names)
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

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"), arguments: ["llama", "gpt2"])
  func `folders of Apus give their logits in Python's PEFT`(name: String) throws {
    let fixture = try Fixture(name)
    let adapted = try AdaptedModel(
      fixture.model, fixture.customary, random: RandomStream(seed: 2))
    try adapted.scramble(seed: 3)
    try withTemporaryFolder { parent in
      let folder = parent.appending(path: "adapter")
      let notes = AdapterNotes(pooling: "cls", labels: [])
      try adapted.folder(baseModel: "tiny", notes: notes, task: .causalLanguageModel)
        .write(to: folder)
      let golden = fixture.golden
      let examples = try golden.values("right.ids", at: golden.places("right"))
      let found = try Oracle.ask(
        fixture.checkpoint.folder, (examples, examples.map { $0.map { _ in 0 } }),
        adapters: [folder])
      expectClose(
        fixture.model.evaluatedLogits(fixture.batch), try found.tensor("logits.0"),
        absolute: 1e-5, relative: 1e-4)
    }
  }

  @Test(arguments: ["llama", "gpt2"])
  func `a written folder reads as it was, and says how the matrices lie`(name: String) throws {
    let fixture = try Fixture(name)
    let adapted = try AdaptedModel(
      fixture.model, fixture.customary, random: RandomStream(seed: 2))
    try adapted.scramble(seed: 3)
    try withTemporaryFolder { parent in
      let url = parent.appending(path: "adapter")
      let notes = AdapterNotes(pooling: "cls", labels: [])
      try adapted.folder(baseModel: "tiny", notes: notes, task: .causalLanguageModel)
        .write(to: url)
      let config = try JSONNode(contentsOf: url.appending(path: "adapter_config.json"))
      #expect(try config["fan_in_fan_out"].bool() == (name == "gpt2"))
      #expect(try config["task_type"].string() == "CAUSAL_LM")
      #expect(!config["modules_to_save"].exists)
      let again = try AdapterFolder(reading: url)
      #expect(again.configuration == fixture.customary && again.task == .causalLanguageModel)
      #expect(again.tensors.isIdentical(to: adapted.storedValues))
    }
  }
}

import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusExperiments

/// The number of classes of an adapter, wherever a part of Apus opens one.
@Suite struct LabelCountLaws {
  private let tiny: TinyFederation
  private let checkpoint: Checkpoint

  init() throws {
    tiny = try TinyFederation()
    checkpoint = try Checkpoint(folder: tiny.folder.appending(path: "checkpoint"))
  }

  /// A folder of an adapter with a head of three classes, whose notes name some.
  private func folder(labels: [String]) throws -> URL {
    var configuration = AdapterConfiguration()
    configuration.targets = .names(["query"])
    let model = try Backbone(checkpoint).makeClassifier(
      labels: 3, pooling: .mean, random: RandomStream(seed: 1))
    configuration.modulesToSave = model.headNames
    let adapted = try AdaptedModel(model, configuration, random: RandomStream(seed: 2))
    let place = tiny.folder.appending(path: "adapter")
    try adapted.folder(
      baseModel: checkpoint.folder.path, notes: AdapterNotes(pooling: "mean", labels: labels)
    ).write(to: place)
    return place
  }

  @Test(arguments: [[], ["a", "b", "c"]])
  func `an adapter whose notes name no classes has those of its head`(labels: [String]) throws {
    let place = try folder(labels: labels)
    let adapter = try AdapterFolder(reading: place)
    #expect(adapter.labelCount(beside: checkpoint) == 3)
    let merged = tiny.folder.appending(path: "merged")
    try AdaptedCheckpoint(adapter, on: Backbone(checkpoint)).writeMerged(to: merged)
    let predictor = try Predictor(place)
    #expect(predictor.labels == (labels.isEmpty ? ["LABEL_0", "LABEL_1", "LABEL_2"] : labels))
    let ids = tiny.folder.appending(path: "ids.safetensors")
    try Safetensors.write([("input_ids", Tensor([2, 5, 3], shape: [1, 3]))], to: ids)
    let logits = tiny.folder.appending(path: "logits.safetensors")
    try ModelProbe.writeOutputs(
      checkpoint: checkpoint.folder, adapter: place, input: ids, output: logits)
    #expect(try SafetensorsFile(contentsOf: logits).tensor("logits").shape == [1, 3])
  }

  @Test func `where nothing tells the number there is none`() throws {
    var adapter = try AdapterFolder(reading: folder(labels: []))
    adapter.tensors = adapter.tensors.filtered { $0.contains("lora_") }
    #expect(adapter.labelCount(beside: checkpoint) == nil)
    adapter.notes = AdapterNotes(pooling: "mean", labels: ["a", "b"])
    #expect(adapter.labelCount(beside: checkpoint) == 2)
  }
}

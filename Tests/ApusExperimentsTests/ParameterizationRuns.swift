import ApusAdapters
import ApusBase
import ApusCore
import ApusExperiments
import ApusMethods
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Adapters of every kind under FedIT, on whole runs of a real (if tiny) BERT.
@Suite struct ParameterizationRuns {
  private static let kinds = AdapterKind.allCases.map(\.rawValue)

  private func settings(_ kind: String) -> [String] {
    let own =
      switch kind {
      case "adalora":
        ["adapter.adalora.initial-rank=6", "adapter.adalora.final-share=0.4", "adapter.rank=3"]
      case "vera": ["adapter.alpha=8", "training.learning-rate=0.05"]
      default: ["adapter.rank=4"]
      }
    return ["adapter.kind=\(kind)"] + own
  }

  @Test(arguments: kinds)
  func `a run trains, and workers and processes change no bit`(kind: String) async throws {
    let tiny = try TinyFederation()
    let one = try await tiny.global(named: "one", settings(kind) + ["engine.workers=1"])
    let two = try await tiny.global(named: "two", settings(kind) + ["engine.workers=2"])
    let apart = try await tiny.global(named: "apart", settings(kind) + ["engine.kind=processes"])
    #expect(one.isIdentical(to: two))
    #expect(one.isIdentical(to: apart))
    let start = try Assembly(try tiny.load(settings(kind))).initial
    #expect(one.names == start.names)
    for (name, tensor) in one where !name.hasSuffix("lora_E") {  // a site may end without any
      #expect(!tensor.isIdentical(to: try #require(start[name])), "\(name) did not move")
    }
  }

  @Test(arguments: kinds)
  func `what is written and merged answers like the model that was trained`(
    kind: String
  ) async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load(settings(kind)))
    let folder = tiny.folder.appending(path: "runs/\(kind)")
    let outcome = try await ExperimentRun(assembly, folder: folder, resuming: false).run()
    let merged = tiny.folder.appending(path: "merged")
    try assembly.writeMerged(outcome.global, to: merged)
    let topics = TinyCheckpoint.topics
    let texts = (0..<12).map { "\(topics[$0 % 3][$0 / 3]) \(topics[($0 + 1) % 3][0])" }
    let checkpoint = tiny.folder.appending(path: "checkpoint").path
    let written = try Predictor(folder.appending(path: "adapter"), checkpoint: checkpoint)
      .probabilities(texts)
    let whole = try Predictor(merged).probabilities(texts)
    for (own, other) in zip(written, whole) {
      for (a, b) in zip(own, other) { #expect(abs(a - b) < 1e-5) }
    }
  }

  @Test(arguments: kinds)
  func `the server averages each tensor as it is, weighted by rows`(kind: String) async throws {
    let tiny = try TinyFederation(dropout: 0)
    let assembly = try Assembly(try tiny.load(settings(kind)))
    var server = try assembly.makeServer()
    let round = Round(index: 0, total: 3, root: RandomStream(seed: 3))
    var updates: [Message] = []
    for index in [0, 1] {
      let id = ClientID(index: index, name: "owner \(index)")
      let trainer = try assembly.makeTrainer(of: id)
      var half = try assembly.experiment.method.make(assembly.experiment.methodOptions).client(
        ClientSetting(
          id: id, trainer: trainer, training: assembly.experiment.training,
          factorPairs: assembly.factorPairs))
      updates.append(try await half.train(on: server.brief(for: id, round: round), round: round))
    }
    for (index, update) in updates.enumerated() {
      try server.absorb(
        update, from: ClientID(index: index, name: ""), weight: Double(1 + 2 * index),
        round: round)
    }
    _ = try server.finish(round: round)
    for (name, tensor) in server.global {
      let (a, b) = (updates[0].tensors[name], updates[1].tensors[name])
      let mean = (try #require(a) + (try #require(b)) * 3) / 4
      #expect((tensor - mean).magnitude.max().item < 1e-6, "\(name)")
    }
  }

  @Test(arguments: ["last", "last-gradient"])
  func `a step of DyLoRA moves one row and column of every site, unless the optimizer does more`(
    trained: String
  ) async throws {
    let tiny = try TinyFederation(dropout: 0)
    let assembly = try Assembly(
      try tiny.load(
        settings("dylora") + [
          "adapter.dylora.trains=\(trained)", "training.optimizer.weight-decay=0.1",
        ]))
    let trainer = try assembly.makeTrainer(of: ClientID(index: 1, name: "owner 1"))
    _ = try await trainer.train(
      LocalWork(
        training: assembly.experiment.training, random: RandomStream(seed: 2), stepLimit: 1))
    let after = trainer.trainables
    var moved: Set<[Bool]> = []
    for pair in assembly.factorPairs {
      for (name, axis) in [(pair.a, 1), (pair.b, 0)] {
        let (old, new) = (try #require(trainer.initial[name]), try #require(after[name]))
        let changes = (new - old).norm([axis]).doubles.map { $0 > 0 }
        if trained == "last" || axis == 0 {
          moved.insert(changes)
        } else {
          #expect(changes == [true, true, true, true])  // by weight decay; B is zero still
        }
      }
    }
    #expect(moved.count == 1 && moved.first?.count { $0 } == 1)
  }

  @Test func `at the end of a federation AdaLoRA has the triplets of its final budget`()
    async throws
  {
    let tiny = try TinyFederation(rounds: 4)
    let global = try await tiny.global(named: "adalora", settings("adalora"))
    let values = global.filtered { $0.hasSuffix("lora_E") }
    let acting = values.tensors.flatMap(\.floats).count { $0 != 0 }
    #expect(acting == 3 * values.count && values.elementCount == 6 * values.count)
  }

  @Test func `methods that think in factors refuse other kinds and name those that do not`() throws
  {
    let tiny = try TinyFederation()
    for entry in MethodCatalog.all {
      let settings = ["adapter.kind=dora", "method.name=\(entry.card.id)"]
      if entry.takesAnyAdapter {
        #expect(try tiny.load(settings).adapter.kind == .dora)
      } else {
        let error = #expect(throws: ApusError.self) { try tiny.load(settings) }
        #expect(error?.code == .invalidConfig)
        #expect(error?.remedy.contains("fedit") == true)
      }
    }
    let error = #expect(throws: ApusError.self) { try tiny.load(["adapter.kind=dorra"]) }
    #expect(error?.remedy.contains("dora") == true)
    #expect(try tiny.load(["adapter.kind=LoRA"]).adapter.kind == .lora)
  }
}

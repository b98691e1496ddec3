import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusSimulation
import ApusTestSupport
import ApusTorch
import ApusTraining
import Foundation
import Testing

@testable import ApusExperiments

/// Laws of FedBiOT on a (tiny) LLaMA of six blocks: the properties of its card that need one.
@Suite struct EmulatorRunLaws {
  private let tiny: TinyInstructions

  init() throws {
    tiny = try TinyInstructions(layers: 6)
    let config = tiny.folder.appending(path: "checkpoint/config.json")
    var fields = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
    fields["attention_dropout"] = 0
    try JSONSerialization.data(withJSONObject: fields).write(to: config)
  }

  private static let method = [
    "method.name=fedbiot", "method.initial-steps=4", "method.alignment-steps=2",
    "method.drop-share=0.5", "data.public-rows.file=rows.jsonl",
    "data.public-rows.columns={text: question, response: answer}",
  ]

  private func assembly(
    _ settings: [String] = [], method: [String] = method
  ) throws -> Assembly {
    try Assembly(try Experiment(contentsOf: tiny.experiment, assignments: method + settings))
  }

  private func mixture(_ assembly: Assembly, whole: Bool) -> AdapterMixture {
    let parts = assembly.method.modelExtension
    var mixture = whole ? parts.resting : AdapterMixture()
    mixture.emulator = whole ? nil : parts.emulator
    return mixture
  }

  /// The start values with factors B that add something, of both parts or of the adapter alone.
  private func moved(_ initial: NamedTensors, emulator: Bool) -> NamedTensors {
    var values = initial
    for (name, tensor) in initial where name.contains("lora_B") {
      guard emulator || AdapterName.of(name) == AdapterName.standard else { continue }
      var stream = RandomStream(seed: 2).substream(name)
      values[name] = Tensor.normal(tensor.shape, deviation: 0.2, stream: &stream)
    }
    return values
  }

  private func scores(
    _ assembly: Assembly, _ values: NamedTensors, whole: Bool
  ) throws -> (logits: Tensor, blocks: Int) {
    let model = try assembly.makeModel()
    try model.load(values)
    try model.load(mixture(assembly, whole: whole))
    let language = try #require(model.task as? CausalLanguageTask).model
    var blocks = 0
    for entrance in language.entrances { entrance.observer = { _ in blocks += 1 } }
    return (language.evaluatedLogits(try TokenBatch([[2, 8, 9, 6], [2, 7]])), blocks)
  }

  private func setting(_ assembly: Assembly, of id: ClientID) throws -> ClientSetting {
    ClientSetting(
      id: id, trainer: try assembly.makeTrainer(of: id), training: assembly.experiment.training,
      factorPairs: assembly.factorPairs)
  }

  @Test func `1: with no block left out the emulator is the teacher`() throws {
    let assembly = try assembly(["method.drop-share=0"])
    let values = moved(assembly.initial, emulator: false)
    let full = try scores(assembly, values, whole: true)
    #expect(try full.logits.isIdentical(to: scores(assembly, values, whole: false).logits))
    let result = try assembly.makeAligner().align(
      values, steps: 1, divergenceWeight: 0.9, random: RandomStream(seed: 1))
    #expect(result.representation == 0 && result.divergence == 0)
  }

  @Test func `3: aligning moves the emulator alone, and local training the adapter alone`()
    async throws
  {
    let assembly = try assembly()
    let values = moved(assembly.initial, emulator: true)
    let before = values.copied()
    let weights = assembly.backbone.weights.copied()
    let aligner = try #require(assembly.makeAligner() as? PublicAligner)
    let aligned = try aligner.align(
      values, steps: 3, divergenceWeight: 0.9, random: RandomStream(seed: 1))
    #expect(aligned.emulator.names == values.ofAdapter("emulator").names)
    for (name, tensor) in aligned.emulator {
      #expect(try !tensor.isIdentical(to: #require(values[name])), "\(name)")
    }
    #expect(values.isIdentical(to: before))
    let setting = try self.setting(assembly, of: assembly.clients[1].id)
    var client = try assembly.method.client(setting)
    let update = try await client.train(
      on: Message(tensors: values),
      round: Round(index: 0, total: 1, root: RandomStream(seed: 1)))
    #expect(update.tensors.names == values.filtered(.all).names)
    #expect(update.tensors.names.allSatisfy { $0.contains("layers.4") || $0.contains("layers.5") })
    #expect(!update.tensors.isIdentical(to: values.filtered(.all)))
    let emulator = setting.trainer.trainables.ofAdapter(EmulatorPlan.adapterName)
    #expect(!emulator.isEmpty && emulator.isIdentical(to: before.ofAdapter("emulator")))
    #expect(assembly.backbone.weights.isIdentical(to: weights))
  }

  @Test func `3: blocks of the emulator run without dropout while the adapter trains`() throws {
    let assembly = try assembly(["adapter.dropout=0.5"])
    let model = try assembly.makeModel()
    try model.load(moved(assembly.initial, emulator: true))
    try model.load(mixture(assembly, whole: false))
    let language = try #require(model.task as? CausalLanguageTask).model
    let batch = try TokenBatch([[2, 8, 9, 6]])
    var lower: [Tensor] = []
    language.entrances[4].observer = { lower.append($0.detached()) }
    let ends = [3, 4].map { language.hidden(batch, random: RandomStream(seed: $0)).detached() }
    #expect(lower[0].isIdentical(to: lower[1]))
    #expect(!ends[0].isIdentical(to: ends[1]))
    // No gradient goes below the adapter either.
    for (name, leaf) in model.adapted.trainables where AdapterName.of(name) == "emulator" {
      leaf.requireGradientInPlace(false)
    }
    _ = language.hidden(batch)
    #expect(!lower[2].requiresGradient)
  }

  @Test func `6: with nothing left out, no pull and no alignment it is FedIT in the last blocks`()
    async throws
  {
    let optimizer = ["training.optimizer.kind=sgd", "training.optimizer.weight-decay=0"]
    let method = try assembly(
      optimizer + [
        "method.drop-share=0", "method.anchor-weight=0", "method.alignment-steps=0",
        "method.initial-steps=0",
      ])
    let plain = try assembly(
      optimizer + ["adapter.layers=[4, 5]"], method: ["method.name=fedit"])
    var ends: [NamedTensors] = []
    for (name, assembly) in [("fedbiot", method), ("fedit", plain)] {
      let folder = tiny.folder.appending(path: "runs/\(name)")
      ends.append(try await ExperimentRun(assembly, folder: folder, resuming: false).run().global)
    }
    #expect(ends[0].filtered(.all).isIdentical(to: ends[1]))
  }

  @Test func `6: aligned once, each round is the mean of what clients train on that one emulator`()
    async throws
  {
    let assembly = try assembly(["method.anchor-weight=0", "method.alignment-steps=0"])
    var server = try assembly.makeServer()
    var emulators: [NamedTensors] = []
    for index in 0..<2 {
      let round = Round(index: index, total: 2, root: RandomStream(seed: 1))
      let rows = assembly.clients.reduce(0) { $0 + $1.sampleCount }
      var mean: [String: Tensor] = [:]
      for client in assembly.clients {
        let brief = try server.brief(for: client.id, round: round)
        emulators.append(brief.tensors.ofAdapter(EmulatorPlan.adapterName))
        var half = try assembly.method.client(self.setting(assembly, of: client.id))
        let update = try await half.train(on: brief, round: round)
        // FedIT's local training of the adapter, in the model that runs the emulator.
        let setting = try self.setting(assembly, of: client.id)
        try setting.trainer.load(brief.tensors)
        try setting.trainer.load(mixture(assembly, whole: false))
        _ = try await setting.trainer.train(
          LocalWork(of: setting, in: round, on: brief, selects: TensorRoles.all.contains(named:)))
        let trained = setting.trainer.trainables.filtered(.all)
        #expect(update.tensors.isIdentical(to: trained))
        for (name, tensor) in trained {
          let part = tensor.to(.float64) * (Double(client.sampleCount) / Double(rows))
          mean[name] = mean[name].map { $0 + part } ?? part
        }
        try server.absorb(
          update, from: client.id, weight: Double(client.sampleCount), round: round)
      }
      _ = try server.finish(round: round)
      expectClose(
        server.global.filtered(.all), NamedTensors(mean), absolute: 1e-6, relative: 1e-5)
    }
    let start = assembly.initial.ofAdapter(EmulatorPlan.adapterName)
    #expect(emulators.allSatisfy { $0.isIdentical(to: emulators[0]) })
    #expect(!emulators[0].isIdentical(to: start))
  }

  @Test(arguments: ["0", "0.9"])
  func `7: small steps of alignment bring the emulator nearer`(divergence: String) throws {
    let assembly = try assembly([
      "data.public-rows.max-rows=1", "training.optimizer.kind=sgd", "training.learning-rate=0.05",
      "training.clip-norm=0",
    ])
    let aligner = try assembly.makeAligner()
    let weight = try #require(Double(divergence))
    var values = moved(assembly.initial, emulator: false)
    let losses = try (0..<8).map { _ in
      let found = try aligner.align(
        values, steps: 1, divergenceWeight: weight, random: RandomStream(seed: 1))
      values = values.merging(found.emulator)
      return found.representation + weight * found.divergence
    }
    #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 }, "\(losses)")
  }

  @Test func `computing activations again changes no bit of alignment and training`()
    async throws
  {
    var (aligned, trained): ([Alignment], [NamedTensors]) = ([], [])
    for setting in ["false", "true"] {
      let assembly = try assembly(["model.activation-checkpointing=\(setting)"])
      let values = moved(assembly.initial, emulator: true)
      aligned.append(
        try assembly.makeAligner().align(
          values, steps: 3, divergenceWeight: 0.9, random: RandomStream(seed: 1)))
      let folder = tiny.folder.appending(path: "runs/\(setting)")
      let run = try ExperimentRun(assembly, folder: folder, resuming: false)
      trained.append(try await run.run().global)
    }
    #expect(aligned[0].emulator.isIdentical(to: aligned[1].emulator))
    #expect(aligned[0].metrics == aligned[1].metrics)
    #expect(trained[0].isIdentical(to: trained[1]))
  }

  @Test func `8: the whole model runs all blocks, the client's those that are left`() throws {
    let assembly = try assembly()
    #expect(try scores(assembly, assembly.initial, whole: true).blocks == 6)
    #expect(try scores(assembly, assembly.initial, whole: false).blocks == 2 + 2)
  }

  @Test func `a run measures the whole model and what clients have, and is told by its seed`()
    async throws
  {
    var ends: [NamedTensors] = []
    for workers in [1, 3] {
      let run = try ExperimentRun(
        try assembly(["engine.workers=\(workers)"]),
        folder: tiny.folder.appending(path: "runs/\(workers)"), resuming: false)
      ends.append(try await run.run().global)
      #expect(try run.archive().events().isEmpty)
      let metrics = try run.archive().metrics()
      for scope in ["global/test", "client/test"] {
        let losses = metrics.filter { $0.scope == scope && $0.metric == "loss" && $0.round == 2 }
        #expect(!losses.isEmpty && losses.allSatisfy { $0.value.isFinite }, "\(scope)")
      }
      #expect(metrics.contains { $0.metric == "emulator_representation" && $0.value > 0 })
      // The adapter opens in the whole model.
      let opened = try run.assembly.backbone.makeLanguageModel()
      let folder = try AdapterFolder(reading: run.folder.appending(path: "adapter"))
      _ = try AdaptedModel(opened, folder)
      let batch = try TokenBatch([[2, 8, 9, 6], [2, 7]])
      let expected = try scores(run.assembly, ends[0], whole: true).logits
      expectClose(opened.evaluatedLogits(batch), expected, absolute: 1e-5)
    }
    #expect(ends[0].isIdentical(to: ends[1]))
  }

  @Test(arguments: [
    (["data.public-rows.file=~"], "data.public-rows"),
    (["method.adapted-blocks=6"], "adapted-blocks"), (["adapter.layers=[0, 1]"], "targets"),
  ])
  func `what cannot be is named`(settings: [String], place: String) throws {
    let error = #expect(throws: ApusError.self) { _ = try assembly(settings).makeServer() }
    #expect(error.map { "\($0)".contains(place) } == true, "\(String(describing: error))")
  }
}

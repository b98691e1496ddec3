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

private let personalMethods = [
  "lora-a2", "pfedlora", "pf2lora", "fedp2eft", "feddpa", "fedalt", "fedoa",
]

/// What a run leaves behind.
private struct Remains {
  let snapshot: Data
  let metrics: [String: Double]
  let events: [String]
}

extension TinyFederation {
  /// Runs a method with its clients measured.
  fileprivate func remains(_ method: String, _ settings: [String] = []) async throws -> Remains {
    let assembly = try Assembly(
      try load(
        [
          "method.name=\(method)", "adapter.dropout=0.1", "federation.evaluation.every=2",
        ] + settings))
    var run = try ExperimentRun(
      assembly, folder: folder.appending(path: "runs/\(UUID().uuidString)"), resuming: false)
    run.workerProgram = TestProgram.apus
    let outcome = try await run.run()
    let rows = try run.archive().metrics().filter { $0.scope != "server" }
    return Remains(
      snapshot: try outcome.snapshot.encoded(),
      metrics: Dictionary(
        rows.map { ("\($0.round) \($0.scope) \($0.client ?? "") \($0.metric)", $0.value) }
      ) { first, _ in first },
      events: try run.archive().events().map(\.text))
  }
}

/// Laws of whole runs of methods with several adapters, on a real (if tiny) BERT with dropout.
@Suite struct PersonalMethodLaws {
  @Test(arguments: personalMethods)
  func `workers and processes change no bit of models and measurements`(
    method: String
  ) async throws {
    let tiny = try TinyFederation(rounds: 4)
    let one = try await tiny.remains(method, ["engine.workers=1"])
    for other in [
      try await tiny.remains(method, ["engine.workers=2"]),
      try await tiny.remains(method, ["engine.kind=processes"]),
    ] {
      #expect(other.snapshot == one.snapshot)
      #expect(other.metrics == one.metrics)
    }
    #expect(one.events.isEmpty, "\(one.events)")
    let accuracies = one.metrics.keys.filter { $0.hasSuffix(" accuracy") }
    let entry = try MethodCatalog.entry(method)
    #expect(accuracies.contains { $0.contains("client/test") } == entry.hasPersonalModels)
    #expect(accuracies.contains { $0.contains("global/test") } == entry.hasGlobalModel)
    #expect(
      one.metrics.keys.contains { $0.contains("clients/test") && $0.hasSuffix("accuracy.worst") }
        == entry.hasPersonalModels)
  }

  @Test(arguments: ["feddpa", "fedoa", "pf2lora"])
  func `the global model is the shared adapter alone, and is written as one`(
    method: String
  ) async throws {
    let tiny = try TinyFederation(rounds: 3)
    let assembly = try Assembly(try tiny.load(["method.name=\(method)"]))
    let folder = tiny.folder.appending(path: "runs/global")
    let run = try ExperimentRun(assembly, folder: folder, resuming: false)
    let outcome = try await run.run()
    let written = try ShardedSafetensors(
      folder: folder.appending(path: "adapter"), stem: "adapter_model")
    let shared = outcome.global.filtered(.all)
    #expect(Set(written.names) == Set(shared.names))
    for name in written.names {
      #expect(shared[name].map { (try? written.tensor(name))?.isIdentical(to: $0) } == true)
    }
    let rows = try run.archive().metrics().filter { $0.round == 2 && $0.metric == "loss" }
    let measured = try #require(rows.first { $0.scope == "global/test" }?.value)
    let alone = try Assembly(try tiny.load([])).makeTrainer(of: ClientID(index: 0, name: ""))
    try alone.load(shared)
    // A client without test rows of its own measures on those of all.
    let loss = try #require(try await alone.evaluate(.test)["loss"])
    #expect(abs(loss - measured) < 1e-5)
  }

  @Test(arguments: ["local", "fedsa-lora", "fedoa", "pf2lora", "fedp2eft"])
  func `a client's own adapter is written where it is one, and is what the client uses`(
    method: String
  ) async throws {
    let tiny = try TinyFederation(rounds: 3)
    let assembly = try Assembly(
      try tiny.load([
        "method.name=\(method)", "federation.sampling.cohort-size=5",
        "federation.evaluation.client-splits=[test]",
      ]))
    let folder = tiny.folder.appending(path: "runs/own")
    let run = try ExperimentRun(assembly, folder: folder, resuming: false)
    _ = try await run.run()
    let plain = try Assembly(try tiny.load([]))
    for id in [assembly.clients[1].id, assembly.clients[3].id] {
      let values = try await assembly.adapter(ofClient: id.name, in: folder)
      let written = tiny.folder.appending(path: id.name)
      try assembly.writeAdapter(values, to: written)
      let stored = try AdapterFolder(reading: written).tensors
      // Factors of ranks are in B.
      #expect(stored.names == values.names.filter { !$0.contains("lora_diagonal") })
      let trainer = try plain.makeTrainer(of: id)
      try trainer.load(stored)
      let measured = try run.archive().metrics().first {
        $0.round == 2 && $0.client == id.name && $0.metric == "loss"
      }
      let loss = try #require(try await trainer.evaluate(.test)["loss"])
      #expect(abs(loss - (try #require(measured).value)) < 1e-4, "\(id)")
    }
    await #expect(throws: ApusError.self) {
      try await assembly.adapter(ofClient: "owner 9", in: folder)
    }
  }

  @Test func `an adapter is exported on a thread of its own, as clients train`() async throws {
    let tiny = try TinyFederation(rounds: 2)
    let assembly = try Assembly(
      try tiny.load(["method.name=fedp2eft", "federation.sampling.cohort-size=5"]))
    let folder = tiny.folder.appending(path: "runs/own")
    _ = try await ExperimentRun(assembly, folder: folder, resuming: false).run()
    let here = try await assembly.adapter(ofClient: "owner 1", in: folder)
    // What failed on the thread of whoever asks stays there.
    let error = await #expect(throws: ApusError.self) {
      try await onWorkerThread(threadsPerOperation: 2, "elsewhere") {
        _ = matmul(Tensor.ones([2, 3]), Tensor.ones([2, 3]))
        let again = try await assembly.adapter(ofClient: "owner 1", in: folder)
        #expect(again.isIdentical(to: here))
      }
    }
    #expect(error?.location == "elsewhere")
  }

  @Test(arguments: ["fedalt", "feddpa", "pfedlora", "fedit"])
  func `a client without one adapter of its own has none to write`(method: String) async throws {
    let tiny = try TinyFederation(rounds: 2)
    let assembly = try Assembly(
      try tiny.load(["method.name=\(method)", "federation.evaluation.every=9"]))
    let folder = tiny.folder.appending(path: "runs/none")
    _ = try await ExperimentRun(assembly, folder: folder, resuming: false).run()
    let error = await #expect(throws: ApusError.self) {
      try await assembly.adapter(ofClient: "owner 1", in: folder)
    }
    #expect(error?.code == .unsupported)
  }

  @Test(arguments: personalMethods + ["local", "fedsa-lora"])
  func `shared and personal parameters are all that there are, and personal ones never cross`(
    method: String
  ) async throws {
    let tiny = try TinyFederation(rounds: 2)
    let experiment = try tiny.load(["method.name=\(method)"])
    let assembly = try Assembly(experiment)
    let counts = assembly.parameterCounts
    #expect(counts.shared + counts.personal == assembly.initial.elementCount)
    #expect((counts.personal > 0) == experiment.method.hasPersonalModels)
    let maker = try experiment.method.make(experiment.methodOptions)
    let id = assembly.clients[0].id
    var half = try maker.client(
      ClientSetting(
        id: id, trainer: assembly.makeTrainer(of: id), training: experiment.training,
        factorPairs: assembly.factorPairs))
    let round = Round(index: 1, total: 2, root: RandomStream(seed: 1))
    var server = try assembly.makeServer()
    let brief = try server.brief(for: id, round: round)
    let update = try await half.train(on: brief, round: round)
    #expect(!(brief.tensors.names + update.tensors.names).contains(where: maker.isPersonal))
  }

  @Test(arguments: personalMethods)
  func `personal tensors stay on their clients`(method: String) async throws {
    let tiny = try TinyFederation(rounds: 2)
    let assembly = try Assembly(try tiny.load(["method.name=\(method)"]))
    var server = try assembly.makeServer()
    let round = Round(index: 0, total: 1, root: RandomStream(seed: 1))
    let brief = try server.brief(for: assembly.clients[0].id, round: round)
    let shared: TensorRoles =
      switch method {
      case "pfedlora", "fedp2eft": .beside
      default: .all
      }
    #expect(brief.tensors.allSatisfy { shared.contains(named: $0.name) })
    #expect(assembly.initial.count > assembly.initial.filtered(.all).count || method == "lora-a2")
  }

  @Test func `a mixture of equal adapters is either of them, on a real model`() async throws {
    let tiny = try TinyFederation(dropout: 0)
    let assembly = try Assembly(try tiny.load(["method.name=feddpa"]))
    let trainer = try assembly.makeTrainer(of: ClientID(index: 1, name: "owner 1"))
    var stream = RandomStream(seed: 2)
    for (name, tensor) in trainer.initial {
      try trainer.load(
        NamedTensors([name: .normal(tensor.shape, deviation: 0.2, stream: &stream)]))
    }
    try trainer.load(trainer.trainables.renamed(toAdapter: "local"))
    let names = ["default", "local"]
    try trainer.load(AdapterMixture.only("local", of: names))
    let features = try await trainer.features(of: .train)
    let loss = try #require(try await trainer.evaluate(.train)["loss"])
    let alpha = Tensor.uniform([features.size(0)], stream: &stream)
    try trainer.load(
      AdapterMixture([
        "local": .init(.perExample(alpha)), "default": .init(.perExample(1 - alpha)),
      ]))
    let mixed = try await trainer.features(of: .train)
    expectClose(mixed, features, absolute: 1e-4)
    #expect(abs(try #require(try await trainer.evaluate(.train)["loss"]) - loss) < 1e-4)
    #expect(throws: ApusError.self) { try trainer.load(AdapterMixture(["locl": .none])) }
    #expect(throws: ApusError.self) {
      try trainer.load(AdapterMixture(companion: .mixed(0.5)))
    }
  }

  @Test func `features and weights follow the order of the rows`() async throws {
    let tiny = try TinyFederation(dropout: 0)
    let assembly = try Assembly(try tiny.load(["method.name=feddpa"]))
    let trainer = try assembly.makeTrainer(of: ClientID(index: 4, name: "owner 4"))
    var stream = RandomStream(seed: 3)
    for (name, tensor) in trainer.initial {
      try trainer.load(
        NamedTensors([name: .normal(tensor.shape, deviation: 0.3, stream: &stream)]))
    }
    let names = ["default", "local"]
    try trainer.load(AdapterMixture.only("local", of: names))
    let local = try await trainer.features(of: .train)
    try trainer.load(AdapterMixture.only("default", of: names))
    let global = try await trainer.features(of: .train)
    let flags = (0..<local.size(0)).map { $0.isMultiple(of: 3) ? Float(1) : 0 }
    let isLocal = Tensor(flags, shape: [flags.count])
    try trainer.load(
      AdapterMixture([
        "local": .init(.perExample(isLocal)), "default": .init(.perExample(1 - isLocal)),
      ]))
    let mixed = try await trainer.features(of: .train)
    for (row, flag) in flags.enumerated() {
      expectClose(
        mixed[row], (flag == 1 ? local : global)[row], absolute: 1e-4, "row \(row)")
    }
  }

  @Test func `inputs of all linear layers are seen, whatever the batches are`() async throws {
    let tiny = try TinyFederation(dropout: 0)
    let assembly = try Assembly(try tiny.load(["method.name=fedp2eft"]))
    let trainer = try assembly.makeTrainer(of: ClientID(index: 4, name: "owner 4"))
    let moments = try await trainer.inputMoments(of: .train)
    // Six projections in each of two blocks, and the head.
    #expect(moments.count == 13)
    #expect(moments.allSatisfy { $0.count > 0 })
    let features = try await trainer.features(of: .train)
    let last = moments.filter { $0.count == features.count }
    #expect(last.contains { abs($0.mean - features.to(.float64).mean().item) < 1e-6 })
  }
}

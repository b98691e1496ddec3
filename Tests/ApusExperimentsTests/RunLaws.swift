import ApusBase
import ApusCore
import ApusExperiments
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Synchronization
import Testing

/// Laws of whole runs, on a real (if tiny) BERT with dropout, tokenizer and files.
@Suite struct RunLaws {
  @Test func `workers change no bit of the adapter`() async throws {
    let tiny = try TinyFederation()
    let one = try await tiny.global(named: "one", ["engine.workers=1"])
    let two = try await tiny.global(named: "two", ["engine.workers=2"])
    let four = try await tiny.global(named: "four", ["engine.workers=4"])
    #expect(one.isIdentical(to: two))
    #expect(one.isIdentical(to: four))
    let other = try await tiny.global(named: "other", ["seed=4"])
    #expect(!one.isIdentical(to: other))
  }

  @Test func `one client with all rows is centralised training, bit for bit`() async throws {
    let tiny = try TinyFederation()
    let alone = [
      "data.partition.kind=iid", "data.partition.clients=1", "federation.sampling.cohort-size=1",
      "data.columns.client=~",
    ]
    let federated = try await tiny.global(named: "fedit", alone)
    let central = try await tiny.global(named: "central", alone + ["method.name=centralised"])
    #expect(federated.isIdentical(to: central))
    let loop = try await plainLoop(tiny, alone)
    #expect(federated.isIdentical(to: loop))
  }

  @Test func `FedProx with a weight of zero is FedAvg, with a large one it holds still`()
    async throws
  {
    let tiny = try TinyFederation(rounds: 1)
    let plain = try await tiny.global(named: "plain", [])
    let zero = try await tiny.global(named: "zero", ["training.proximal=0"])
    let strong = try await tiny.global(
      named: "strong",
      [
        "training.proximal=1e4", "training.optimizer.kind=sgd",
        "training.learning-rate=1e-4",
      ])
    let weak = try await tiny.global(
      named: "weak", ["training.optimizer.kind=sgd", "training.learning-rate=1e-4"])
    let start = try Assembly(try tiny.load([])).initial
    #expect(plain.isIdentical(to: zero))
    #expect(distance(strong, start) < distance(weak, start))
  }

  @Test func `the reported bytes are those of the messages`() async throws {
    let tiny = try TinyFederation(rounds: 1)
    let assembly = try Assembly(try tiny.load([]))
    let run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/bytes"), resuming: false)
    _ = try await run.run()
    let brief = try Message(tensors: assembly.initial).encoded().count
    let record = try #require(try run.archive().rounds().first)
    #expect(record.clients.count == 4)
    for client in record.clients {
      #expect(client.downlinkBytes == brief)
      // The update adds its fields to the same tensors.
      #expect(client.uplinkBytes > brief)
      #expect(client.uplinkBytes < brief + 300)
    }
  }

  @Test func `halves in processes of their own give the same bits`() async throws {
    let tiny = try TinyFederation()
    let threads = try await tiny.global(named: "threads", [])
    let processes = try await tiny.global(named: "processes", ["engine.kind=processes"])
    #expect(threads.isIdentical(to: processes))
  }

  @Test func `an interrupted run goes on to the same bits`() async throws {
    let tiny = try TinyFederation(rounds: 4)
    let whole = try await tiny.global(named: "whole", [])
    let folder = tiny.folder.appending(path: "runs/parts")
    let assembly = try Assembly(try tiny.load([]))
    for stop in [1, 2] {
      let run = try ExperimentRun(assembly, folder: folder, resuming: stop > 1)
      await interrupt(run, inRound: stop)
    }
    let outcome = try await ExperimentRun(assembly, folder: folder, resuming: true).run()
    #expect(outcome.global.isIdentical(to: whole))
  }

  @Test func `local sends no tensor and its clients differ`() async throws {
    let tiny = try TinyFederation(rounds: 2)
    let assembly = try Assembly(
      try tiny.load(["method.name=local", "federation.evaluation.client-splits=[test]"]))
    let run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/local"), resuming: false)
    _ = try await run.run()
    let records = try run.archive().rounds()
    #expect(records.flatMap(\.clients).allSatisfy { $0.uplinkBytes < 400 })
    let losses = try run.archive().metrics().filter {
      $0.scope == "client/test" && $0.metric == "loss" && $0.round == 1
    }
    #expect(Set(losses.map(\.value)).count == 5)
    #expect(try run.archive().events().isEmpty)
  }

  /// Trains without any federation: fresh optimizer, the streams of client 0.
  private func plainLoop(_ tiny: TinyFederation, _ settings: [String]) async throws -> NamedTensors
  {
    let experiment = try tiny.load(settings)
    let trainer = try Assembly(experiment).makeTrainer(of: ClientID(index: 0, name: "everyone"))
    let root = RandomStream(seed: experiment.seed)
    for index in 0..<experiment.federation.rounds {
      let round = Round(index: index, total: experiment.federation.rounds, root: root)
      let stream = round.random(of: ClientID(index: 0, name: "everyone"))
      _ = try await trainer.train(LocalWork(training: experiment.training, random: stream))
    }
    return trainer.trainables
  }

  private func distance(_ a: NamedTensors, _ b: NamedTensors) -> Double {
    a.reduce(0) { total, entry in
      total + (entry.tensor - (b[entry.name] ?? entry.tensor)).squared.sum().item
    }.squareRoot()
  }

  /// Cancels a run while the second client of a round trains.
  private func interrupt(_ run: ExperimentRun, inRound index: Int) async {
    let task = Mutex<Task<Void, any Error>?>(nil)
    let running = Task {
      _ = try await run.run { event in
        guard case .clientEnded(index, _) = event else { return }
        task.withLock { $0?.cancel() }
      }
    }
    task.withLock { $0 = running }
    let result = await running.result
    #expect(throws: ApusError.self) { try result.get() }
  }
}

extension TinyFederation {
  /// The experiment with settings over those of the file.
  func load(_ settings: [String]) throws -> Experiment {
    try Experiment(contentsOf: experiment, assignments: settings)
  }

  /// Runs the experiment and returns the global model.
  func global(named name: String, _ settings: [String]) async throws -> NamedTensors {
    let assembly = try Assembly(try load(settings))
    var run = try ExperimentRun(
      assembly, folder: folder.appending(path: "runs/\(name)"), resuming: false)
    run.workerProgram = TestProgram.apus
    return try await run.run().global
  }
}

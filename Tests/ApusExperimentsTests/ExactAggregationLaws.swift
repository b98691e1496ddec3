import ApusBase
import ApusCore
import ApusExperiments
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Laws of methods that change the frozen weights, on whole runs of a real (if tiny) BERT.
@Suite struct ExactAggregationLaws {
  @Test(arguments: ["fedex-lora", "flora", "frlora", "flexlora", "slora"])
  func `workers and processes change no bit of the model`(method: String) async throws {
    let tiny = try TinyFederation()
    let setting = "method.name=\(method)"
    let one = try await tiny.global(named: "one", [setting, "engine.workers=1"])
    let two = try await tiny.global(named: "two", [setting, "engine.workers=2"])
    let processes = try await tiny.global(named: "apart", [setting, "engine.kind=processes"])
    #expect(one.isIdentical(to: two))
    #expect(one.isIdentical(to: processes))
    #expect(!BaseDelta(in: one).isEmpty)
  }

  @Test(arguments: ["fedex-lora", "flora", "frlora", "flexlora", "slora"])
  func `measuring the global model changes no bit of what is trained`(method: String) async throws {
    let tiny = try TinyFederation()
    let setting = "method.name=\(method)"
    let measured = try await tiny.global(named: "one", [setting, "federation.evaluation.every=1"])
    let unseen = try await tiny.global(named: "two", [setting, "federation.evaluation.every=0"])
    #expect(measured.isIdentical(to: unseen))
  }

  @Test(arguments: ["hetlora", "legend", "lora-fair"])
  func `workers change no bit of factors whose ranks are the clients' own`(
    method: String
  ) async throws {
    let tiny = try TinyFederation()
    let settings = [
      "method.name=\(method)", "devices.fleet=edge", "federation.workload.flops-per-step=1e9",
    ]
    let one = try await tiny.global(named: "one", settings + ["engine.workers=1"])
    let two = try await tiny.global(named: "two", settings + ["engine.workers=2"])
    #expect(one.isIdentical(to: two))
    #expect(BaseDelta(in: one).isEmpty)
  }

  @Test(arguments: ["fedex-lora", "flora", "frlora", "flexlora", "slora"])
  func `what is measured, written and merged is the same model`(method: String) async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load(["method.name=\(method)"]))
    let folder = tiny.folder.appending(path: "runs/exact")
    let run = try ExperimentRun(assembly, folder: folder, resuming: false)
    let outcome = try await run.run()
    #expect(try assembly.global(of: folder).isIdentical(to: outcome.global))

    let topics = TinyCheckpoint.topics
    let texts = (0..<12).map { "\(topics[$0 % 3][$0 / 3]) \(topics[($0 + 1) % 3][0])" }
    let checkpoint = tiny.folder.appending(path: "checkpoint").path
    let adapter = try Predictor(folder.appending(path: "adapter"), checkpoint: checkpoint)
    let merged = tiny.folder.appending(path: "merged")
    try assembly.writeMerged(outcome.global, to: merged)
    let (stacked, whole) = (
      try adapter.probabilities(texts), try Predictor(merged).probabilities(texts)
    )
    let bare = tiny.folder.appending(path: "bare")
    try assembly.writeAdapter(outcome.global.withoutBaseDelta, to: bare)
    let alone = try Predictor(bare, checkpoint: checkpoint).probabilities(texts)
    var gap = 0.0
    for (index, shares) in stacked.enumerated() {
      for (place, share) in shares.enumerated() {
        #expect(abs(share - whole[index][place]) < 1e-5)
        gap = max(gap, abs(share - alone[index][place]))
      }
    }
    #expect(gap > 1e-4)
  }

  @Test(arguments: ["flora", "flexlora", "hetlora"])
  func `clients have the ranks that the file lists`(method: String) async throws {
    let tiny = try TinyFederation(rounds: 2)
    let assembly = try Assembly(
      try tiny.load([
        "method.name=\(method)", "method.ranks.rule=listed", "method.ranks.list=[1, 2, 4]",
        "adapter.rank=4", "federation.sampling.cohort-size=5",
      ]))
    let run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/ranks"), resuming: false)
    _ = try await run.run()
    #expect(try run.archive().events().isEmpty)
    let rows = try run.archive().metrics().filter { $0.round == 0 && $0.metric.hasPrefix("rank/") }
    let ranks = assembly.clients.map { client in
      rows.first { $0.metric == "rank/\(client.id)" }?.value
    }
    // HetLoRA's clients may have given up a rank by the end of a round.
    for (found, wanted) in zip(ranks, [1, 2, 4, 1, 2.0]) {
      let found = try #require(found)
      #expect(method == "hetlora" ? (1...wanted).contains(found) : found == wanted)
    }
    #expect(rows.count == 5)
  }

  @Test(arguments: ["fedex-lora", "flora", "frlora", "hetlora"])
  func `clients that missed rounds train and measure like the others`(method: String) async throws {
    let tiny = try TinyFederation(rounds: 4)
    let assembly = try Assembly(
      try tiny.load([
        "method.name=\(method)", "federation.sampling.cohort-size=2",
        "federation.evaluation.client-splits=[test]",
      ]))
    let run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/clients"), resuming: false)
    _ = try await run.run()
    #expect(try run.archive().events().isEmpty)
    let rows = try run.archive().metrics().filter { $0.round == 3 && $0.metric == "loss" }
    #expect(rows.filter { $0.scope == "client/test" }.count == 5)
  }
}

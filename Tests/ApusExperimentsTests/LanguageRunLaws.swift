import ApusAdapters
import ApusBase
import ApusCore
import ApusExperiments
import ApusModels
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Synchronization
import Testing

/// Laws of whole runs that train a (tiny) LLaMA to write responses.
@Suite struct LanguageRunLaws {
  private func load(_ tiny: TinyInstructions, _ settings: [String] = []) throws -> Experiment {
    try Experiment(contentsOf: tiny.experiment, assignments: settings)
  }

  private func run(
    _ tiny: TinyInstructions, named name: String, _ settings: [String] = []
  ) async throws -> ExperimentRun {
    let assembly = try Assembly(try load(tiny, settings))
    var run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/\(name)"), resuming: false)
    run.workerProgram = TestProgram.apus
    _ = try await run.run()
    return run
  }

  private func global(_ run: ExperimentRun) throws -> NamedTensors {
    try run.assembly.global(of: run.folder)
  }

  @Test func `the loss falls, and perplexity is its exponential`() async throws {
    let tiny = try TinyInstructions(rounds: 6)
    let metrics = try await run(tiny, named: "falls").archive().metrics()
    func curve(_ name: String) -> [Double] {
      metrics.filter { $0.scope == "global/test" && $0.metric == name }.map(\.value)
    }
    let (losses, accuracies) = (curve("loss"), curve("token_accuracy"))
    #expect(losses.count == 6)
    #expect(try #require(losses.last) < 0.7 * #require(losses.first))
    #expect(try #require(accuracies.last) > #require(accuracies.first))
    for (loss, perplexity) in zip(losses, curve("perplexity")) {
      #expect(abs(exp(loss) - perplexity) < 1e-9 * perplexity)
    }
  }

  @Test func `workers, threads or processes change no bit`() async throws {
    let tiny = try TinyInstructions()
    let one = try global(try await run(tiny, named: "one", ["engine.workers=1"]))
    let three = try global(try await run(tiny, named: "three", ["engine.workers=3"]))
    let apart = try global(try await run(tiny, named: "apart", ["engine.kind=processes"]))
    #expect(one.isIdentical(to: three))
    #expect(one.isIdentical(to: apart))
    let other = try global(try await run(tiny, named: "other", ["task.response-only=false"]))
    #expect(!one.isIdentical(to: other))
  }

  @Test func `an interrupted run goes on to the same bits`() async throws {
    let tiny = try TinyInstructions(rounds: 3)
    let whole = try global(try await run(tiny, named: "whole"))
    let folder = tiny.folder.appending(path: "runs/parts")
    let assembly = try Assembly(try load(tiny))
    await interrupt(try ExperimentRun(assembly, folder: folder, resuming: false))
    let outcome = try await ExperimentRun(assembly, folder: folder, resuming: true).run()
    #expect(outcome.global.isIdentical(to: whole))
  }

  /// Cancels a run while a client of its second round trains.
  private func interrupt(_ run: ExperimentRun) async {
    let task = Mutex<Task<Void, any Error>?>(nil)
    let running = Task {
      _ = try await run.run { event in
        guard case .clientEnded(1, _) = event else { return }
        task.withLock { $0?.cancel() }
      }
    }
    task.withLock { $0 = running }
    let result = await running.result
    #expect(throws: ApusError.self) { try result.get() }
  }

  @Test func `what the file leaves out is the architecture's: LoRA at q and v, no head`() throws {
    let tiny = try TinyInstructions()
    let names = try Assembly(try load(tiny)).initial.names
    #expect(names.count == 8)
    #expect(names.allSatisfy { $0.contains("q_proj") || $0.contains("v_proj") })
    let stated = try Assembly(try load(tiny, ["adapter.targets=[o_proj]"])).initial.names
    #expect(stated.allSatisfy { $0.contains("o_proj") } && stated.count == 4)
  }

  @Test func `adapter and merged checkpoint give the trained model's scores`() async throws {
    let tiny = try TinyInstructions(rounds: 1)
    let run = try await run(tiny, named: "export")
    let base = Backbone.self
    let checkpoint = try Checkpoint(folder: tiny.folder.appending(path: "checkpoint"))
    let adapted = try base.init(checkpoint).makeLanguageModel()
    let folder = try AdapterFolder(reading: run.folder.appending(path: "adapter"))
    #expect(folder.task == .causalLanguageModel)
    _ = try AdaptedModel(adapted, folder)
    let batch = try TokenBatch([[2, 8, 9, 6], [2, 7]])
    let expected = adapted.evaluatedLogits(batch).floats
    let merged = tiny.folder.appending(path: "merged")
    try run.assembly.writeMerged(global(run), to: merged)
    let opened = try base.init(Checkpoint(folder: merged)).makeLanguageModel()
    for (a, b) in zip(opened.evaluatedLogits(batch).floats, expected) {
      #expect(abs(a - b) < 1e-4 + 1e-4 * abs(b))
    }
  }

  @Test(arguments: [
    (["task.template=alpaca"], "template-text"), (["task.template-text=no fields"], "{response}"),
    (["task.kind=casual-lm"], "causal-lm"), (["data.columns.response=~"], "response"),
    (["task.template=chat", "task.template-text=~"], "chat template"),
  ])
  func `what cannot be is named`(settings: [String], told: String) throws {
    let tiny = try TinyInstructions()
    let error = #expect(throws: ApusError.self) { try Assembly(try load(tiny, settings)) }
    #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
  }
}

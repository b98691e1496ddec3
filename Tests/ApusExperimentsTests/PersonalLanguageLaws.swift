import ApusBase
import ApusCore
import ApusExperiments
import ApusSimulation
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Laws of methods with several adapters where (tiny) LLaMAs learn to write responses.
@Suite struct PersonalLanguageLaws {
  private func assembly(_ tiny: TinyInstructions, _ method: String) throws -> Assembly {
    try Assembly(
      try Experiment(
        contentsOf: tiny.experiment,
        assignments: ["method.name=\(method)", "federation.evaluation.client-splits=[test]"]))
  }

  @Test(arguments: ["lora-a2", "feddpa", "fedalt", "fedoa", "pf2lora", "fedp2eft"])
  func `clients learn and are measured`(method: String) async throws {
    let tiny = try TinyInstructions()
    let run = try ExperimentRun(
      try assembly(tiny, method), folder: tiny.folder.appending(path: "runs/personal"),
      resuming: false)
    _ = try await run.run()
    #expect(try run.archive().events().isEmpty)
    let losses = try run.archive().metrics().filter {
      $0.scope == "client/test" && $0.metric == "loss" && $0.round == 2
    }
    #expect(losses.count == 4)
    #expect(losses.allSatisfy { $0.value.isFinite && $0.value < 6 })
  }

  @Test func `a companion that classifies is refused`() throws {
    let tiny = try TinyInstructions()
    let error = #expect(throws: ApusError.self) { try assembly(tiny, "pfedlora") }
    #expect(error?.code == .unsupported)
  }

  @Test func `what rows are compared by does not know their responses`() async throws {
    let tiny = try TinyInstructions()
    let before = try assembly(tiny, "feddpa")
    let id = before.clients[3].id
    let rows = tiny.folder.appending(path: "rows.jsonl")
    let text = try String(contentsOf: rows, encoding: .utf8)
    let altered = text.replacing("\"answer\": \"", with: "\"answer\": \"old ")
    try Data(altered.utf8).write(to: rows)
    let after = try assembly(tiny, "feddpa")
    let trainers = [try before.makeTrainer(of: id), try after.makeTrainer(of: id)]
    let features = try await (
      trainers[0].features(of: .train), trainers[1].features(of: .train)
    )
    #expect(features.0.size(0) > 0)
    expectClose(features.0, features.1, absolute: 1e-5)
    let losses = try await (
      trainers[0].evaluate(.train)["loss"], trainers[1].evaluate(.train)["loss"]
    )
    #expect(losses.0 != losses.1)
  }
}

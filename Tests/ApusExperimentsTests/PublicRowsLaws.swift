import ApusBase
import ApusDatasets
import ApusTestSupport
import Foundation
import Testing

@testable import ApusExperiments

/// Rows that a server has of its own: which ones, for whom, and when they are looked at.
@Suite struct PublicRowsLaws {
  private let tiny: TinyInstructions

  init() throws { tiny = try TinyInstructions(layers: 4) }

  private static let columns = "data.public-rows.columns={text: question, response: answer}"
  private static let file = ["data.public-rows.file=rows.jsonl", columns]
  private static let method = ["method.name=fedbiot", "method.initial-steps=0"]

  private func experiment(_ settings: [String]) throws -> Experiment {
    try Experiment(contentsOf: tiny.experiment, assignments: settings)
  }

  private func sources(_ settings: [String]) throws -> [String] {
    let rows = try ExperimentData.publicRows(of: experiment(Self.method + Self.file + settings))
    return try #require(rows).examples.map { "\($0.source)" }
  }

  @Test func `as many are kept as are wanted, drawn by the seed, in their order`() throws {
    let all = try sources([])
    let some = try sources(["data.public-rows.max-rows=9"])
    #expect(some.count == 9 && some == all.filter { some.contains($0) })
    #expect(try some == sources(["data.public-rows.max-rows=9"]))
    #expect(some != Array(all.prefix(9)))
    #expect(try some != sources(["data.public-rows.max-rows=9", "seed=9"]))
    #expect(try all == sources(["data.public-rows.max-rows=1000"]))
    #expect(throws: ApusError.self) { try sources(["data.public-rows.max-rows=0"]) }
  }

  @Test func `a file that is not there ends a run before it begins`() throws {
    let assembly = try Assembly(
      experiment(Self.method + ["data.public-rows.file=rows.jsnol", Self.columns]))
    let folder = tiny.folder.appending(path: "runs/none")
    let error = #expect(throws: ApusError.self) {
      try ExperimentRun(assembly, folder: folder, resuming: false)
    }
    #expect(error?.code == .fileAccess && error?.location.contains("rows.jsnol") == true)
    #expect(!FileManager.default.fileExists(atPath: folder.path))
    let unnamed = #expect(throws: ApusError.self) {
      try ExperimentRun(
        Assembly(experiment(Self.method)), folder: folder, resuming: false)
    }
    #expect(unnamed?.location == "data.public-rows")
  }

  @Test func `rows that could not be read are told when a run begins`() throws {
    let rows = try String(
      contentsOf: tiny.folder.appending(path: "rows.jsonl"), encoding: .utf8)
    try Data((rows + "{\"question\": 5}\n").utf8)
      .write(to: tiny.folder.appending(path: "public.jsonl"))
    let assembly = try Assembly(
      experiment(
        Self.method + ["data.public-rows.file=public.jsonl", Self.columns, "data.bad-rows=skip"]))
    let run = try ExperimentRun(
      assembly, folder: tiny.folder.appending(path: "runs/told"), resuming: false)
    #expect(assembly.data.findings.allSatisfy { !$0.contains("public") })
    #expect(run.findings.contains { $0.contains("public") && $0.contains("1 rows left out") })
  }

  @Test func `a server that would not look at them refuses them`() throws {
    let error = #expect(throws: ApusError.self) {
      try Assembly(experiment(["method.name=fedit"] + Self.file))
    }
    #expect(error?.location == "data.public-rows.file" && error?.code == .invalidConfig)
  }

  @Test func `an emulator of a task that writes nothing is refused before a run`() throws {
    let classes = try TinyFederation()
    let error = #expect(throws: ApusError.self) {
      try Assembly(classes.load(["method.name=fedbiot", "method.adapted-blocks=1"]))
    }
    #expect(error?.code == .unsupported && error?.remedy.contains("causal-lm") == true)
  }
}

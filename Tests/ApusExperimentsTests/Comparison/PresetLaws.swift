import ApusBase
import ApusCore
import ApusDatasets
import ApusExperiments
import ApusMethods
import ApusTestSupport
import Foundation
import Testing

@Suite struct PresetLaws {
  private func comparison(_ preset: ComparisonPreset, _ folder: URL) throws -> Comparison {
    try Comparison(
      parsing: preset.text(model: preset.defaultModel ?? "checkpoint"), file: preset.name,
      folder: folder, runs: folder.appending(path: "runs"))
  }

  @Test(arguments: ComparisonPreset.all)
  func `a preset is a valid comparison of all methods that apply, over seeds`(
    preset: ComparisonPreset
  ) throws {
    let comparison = try comparison(preset, URL(filePath: "/nowhere", directoryHint: .isDirectory))
    let family = MethodCatalog.all.filter {
      [.reparameterized, .reference].contains($0.card.family)
    }
    let writes = preset.defaultModel == nil
    // A companion classifies, an emulator needs a language model and rows of the server's own.
    let aligns = preset.name == "flan"
    let left = (writes ? ["pfedlora"] : []) + (aligns ? [] : ["fedbiot"])
    #expect(comparison.entries == family.map(\.card.id).filter { !left.contains($0) })
    #expect(comparison.members.count == 3 * comparison.entries.count)
    #expect(comparison.metric == (writes ? "token_accuracy" : "accuracy"))
    #expect(comparison.name == preset.name)
    for member in comparison.members {
      #expect(member.experiment.method.card.id == member.entry)
      #expect(member.experiment.folder.path == "/nowhere")
    }
    #expect(try ComparisonPreset.named(preset.name).name == preset.name)
  }

  @Test(arguments: ["C:\\models\\new", "the \"best\" one", "a: {b} # c\n\t\u{85}", "\\\"\\"])
  func `a model of any name is the one that is trained`(name: String) throws {
    let comparison = try Comparison(
      parsing: ComparisonPreset.named("flan").text(model: name), file: "flan",
      folder: URL(filePath: "/nowhere", directoryHint: .isDirectory),
      runs: URL(filePath: "/nowhere/runs"))
    #expect(comparison.members.allSatisfy { $0.experiment.model.checkpoint == name })
  }

  @Test func `a preset that trains a language model asks for one`() throws {
    let error = #expect(throws: ApusError.self) { try ComparisonPreset.named("flan").text() }
    #expect(error?.remedy.contains("--model") == true)
    let wrong = #expect(throws: ApusError.self) { try ComparisonPreset.named("ag-news-dirichlt") }
    #expect(wrong?.remedy.contains("ag-news-dirichlet") == true)
  }

  @Test func `rows are drawn by the seed, in their order, and no more than there are`() throws {
    let tiny = try TinyFederation(clients: 4, rounds: 1)
    func rows(_ settings: [String]) throws -> [String] {
      let data = try ExperimentData(tiny.load(["data.test-share=0"] + settings))
      return data.federated.dataset.examples.map { "\($0.source)" }
    }
    let all = try rows([])
    #expect(try rows(["data.max-rows=1000"]) == all)
    let some = try rows(["data.max-rows=20"])
    #expect(some.count == 20)
    #expect(some == all.filter { some.contains($0) })
    #expect(try rows(["data.max-rows=20"]) == some)
    #expect(try rows(["data.max-rows=20", "seed=9"]) != some)
    let file = tiny.folder.appending(path: "rows.jsonl").path
    let test = try ExperimentData(
      tiny.load(["data.test=\(file)", "data.max-test-rows=7", "data.max-rows=30"]))
    #expect(test.federated.test.count == 7)
    #expect(test.federated.dataset.count == 30)
    let error = #expect(throws: ApusError.self) { try rows(["data.max-test-rows=7"]) }
    #expect(error?.description.contains("test file") == true)
  }

  @Test func `a star stands for part of the name of a file or of a folder`() throws {
    let tiny = try TinyFederation(clients: 2, rounds: 1)
    let text = try String(
      contentsOf: tiny.folder.appending(path: "rows.jsonl"), encoding: .utf8)
    let files = FileManager.default
    for name in ["b-x", "a-x", "other"] {
      let folder = tiny.folder.appending(path: name)
      try files.createDirectory(at: folder, withIntermediateDirectories: true)
      try Data(text.utf8).write(to: folder.appending(path: "part-1.jsonl"))
    }
    try files.createDirectory(
      at: tiny.folder.appending(path: "c-x"), withIntermediateDirectories: true)
    let count = try ExperimentData(tiny.load(["data.test-share=0"])).federated.dataset.count
    for (pattern, folders) in [("*-x/part-1.jsonl", 2), ("*/part-*.jsonl", 3), ("a*/*.jsonl", 1)] {
      let data = try ExperimentData(
        tiny.load(["data.train=\"\(pattern)\"", "data.test-share=0"]))
      #expect(data.federated.dataset.count == folders * count, "\(pattern)")
    }
    #expect(throws: ApusError.self) {
      try ExperimentData(tiny.load(["data.train=\"*-y/part-1.jsonl\""]))
    }
  }
}

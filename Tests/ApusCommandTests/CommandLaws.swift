import ApusTestSupport
import Foundation
import Testing

/// What a person meets on the command line.
@Suite struct CommandLaws {
  @Test func `a run reports, exports and predicts`() throws {
    let tiny = try TinyFederation(rounds: 2)
    let run = try CommandProcess.run(["run", "tiny.yaml"], in: tiny.folder)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errors.contains("round 2/2"))
    #expect(run.output.contains("majority class"))
    #expect(!run.output.contains("\u{1B}"))
    for file in [
      "run.sqlite", "experiment.yaml", "metrics.csv", "accuracy-by-rounds.svg",
      "accuracy-by-megabytes.svg", "adapter/adapter_config.json", "adapter/README.md",
    ] {
      let path = tiny.folder.appending(path: "runs/tiny/\(file)").path
      #expect(FileManager.default.fileExists(atPath: path), "\(file)")
    }
    let labels = try CommandProcess.run(
      ["predict", "runs/tiny"], in: tiny.folder, input: "the ship\nold seed and soil\n\n")
    #expect(labels.output.split(separator: "\n").count == 3, "\(labels.errors)")
    let scores = try CommandProcess.run(
      ["predict", "runs/tiny", "--json", "anchor"], in: tiny.folder)
    #expect(scores.output.contains("\"scores\""))
    let merged = try CommandProcess.run(
      ["export", "runs/tiny", "--merged", "--out", "merged"], in: tiny.folder)
    #expect(merged.status == 0, "\(merged.errors)")
    let same = try CommandProcess.run(["predict", "merged", "the ship"], in: tiny.folder)
    #expect(same.output.hasPrefix(String(labels.output.prefix { $0 != "\t" })))
    let runs = try CommandProcess.run(["runs", "--format", "csv"], in: tiny.folder)
    #expect(runs.output.contains("tiny,fedit,2 of 2"))
  }

  @Test func `a language model trains, writes and is listed`() throws {
    let tiny = try TinyInstructions(rounds: 1)
    let run = try CommandProcess.run(["run", "tiny.yaml"], in: tiny.folder)
    #expect(run.status == 0 && run.output.contains("perplexity"), "\(run.errors)")
    let adapted = ["generate", "checkpoint", "--adapter", "runs/tiny", "--max-new-tokens", "5"]
    let texts = try CommandProcess.run(adapted, in: tiny.folder, input: "the ship\nold seed\n")
    #expect(texts.output.split(separator: "\n", omittingEmptySubsequences: false).count == 3)
    let objects = try CommandProcess.run(
      adapted + ["--jsonl", "--json", "--template", "plain", "--num-beams", "2"],
      in: tiny.folder,
      input: "{\"input_ids\": [2, 8]}\n{\"instruction\": \"ship\", \"input\": \"sail\"}\n")
    #expect(objects.status == 0, "\(objects.errors)")
    let rows = objects.output.split(separator: "\n")
    #expect(rows.count == 2 && rows.allSatisfy { $0.contains("\"ids\":[") })
    let wrong = try CommandProcess.run(adapted + ["--top-p", "2"], in: tiny.folder, input: "a\n")
    #expect(wrong.status == 78 && wrong.errors.contains("top-p"), "\(wrong.errors)")
    let asked = try CommandProcess.run(["predict", "runs/tiny", "a"], in: tiny.folder)
    #expect(asked.status == 65 && asked.errors.contains("apus generate"), "\(asked.errors)")
    let data = try CommandProcess.run(["data", "tiny.yaml"], in: tiny.folder)
    #expect(data.output.contains("owner 3"), "\(data.errors)")
    let models = try CommandProcess.run(["models", "--format", "csv"], in: tiny.folder)
    #expect(models.output.contains("llama"), "\(models.errors)")
    #expect(models.output.contains("k_proj, v_proj, down_proj"))
  }

  @Test(arguments: [
    (["training.learning-rat=1"], "Did you mean \"learning-rate\"?"),
    (["method.name=fedlt"], "Did you mean \"fedit\"?"),
    (["model.precision=float12"], "float32, bfloat16"),
    (["federation.rounds=many"], "expected a whole number"),
    (["adapter.targets=[nothing]"], "nothing"),
    (["data.columns.text=txt"], "txt"),
    (["model.checkpoint=missing"], "config.json"),
    (["training.batch-size=0"], "training.batch-size"),
  ])
  func `a wrong setting is named with what is right`(settings: [String], says: String) throws {
    let tiny = try TinyFederation(rounds: 1)
    let result = try CommandProcess.run(
      ["run", "tiny.yaml", "--quiet"] + settings.flatMap { ["--set", $0] }, in: tiny.folder)
    #expect(result.status != 0)
    #expect(result.errors.hasPrefix("apus: "))
    #expect(result.errors.contains(says), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test func `a bad row is named with file and line`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let file = tiny.folder.appending(path: "rows.jsonl")
    var rows = try String(contentsOf: file, encoding: .utf8)
    rows += "{\"text\": 5, \"label\": 1, \"owner\": \"owner 1\"}\n"
    try Data(rows.utf8).write(to: file)
    let count = rows.split(separator: "\n").count
    let result = try CommandProcess.run(["run", "tiny.yaml", "--quiet"], in: tiny.folder)
    #expect(result.status == 65)
    #expect(result.errors.contains("rows.jsonl:\(count)"), "\(result.errors)")
  }

  @Test func `tokens of lines come out as one JSON array a line`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let result = try CommandProcess.run(
      ["tokenize", "checkpoint"], in: tiny.folder, input: "the ship\n\nunknown word")
    let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 4)
    #expect(lines[1] == "[2, 3]")
    #expect(lines[2] == "[2, 1, 1, 3]")
  }

  @Test(arguments: [[], ["--model"]])
  func `the data command gives programs one document, of rows without classes too`(
    options: [String]
  ) throws {
    let tiny = try TinyInstructions(rounds: 1)
    let command = ["data", "tiny.yaml"] + options
    let json = try CommandProcess.run(command + ["--format", "json"], in: tiny.folder)
    let rows = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]],
      "\(json.output)")
    #expect(rows.allSatisfy { $0[options.isEmpty ? "client" : "measure"] is String })
    let csv = try CommandProcess.run(command + ["--format", "csv"], in: tiny.folder)
    #expect(csv.output.split(separator: "\r\n").count == rows.count + 1, "\(csv.output)")
    // A person sees both.
    let shown = try CommandProcess.run(command + ["--svg", "none.svg"], in: tiny.folder)
    #expect(shown.output.contains("owner 1"))
    #expect(shown.output.contains("gradient variance") == !options.isEmpty)
    #expect(shown.errors.contains("no picture"))
  }

  @Test func `the data command shows every client and the measures`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let result = try CommandProcess.run(["data", "tiny.yaml", "--svg", "d.svg"], in: tiny.folder)
    #expect(result.status == 0, "\(result.errors)")
    for client in 0..<5 { #expect(result.output.contains("owner \(client)")) }
    #expect(result.output.contains("label skew"))
    let svg = try String(
      contentsOf: tiny.folder.appending(path: "d.svg"), encoding: .utf8)
    #expect(svg.contains("<svg"))
  }
}

import ApusTestSupport
import Foundation
import Testing

/// What comparisons, lists of methods and results of runs tell.
@Suite struct ReportLaws {
  /// The last line of standard output as a JSON object.
  private func result(of output: String) throws -> [String: Any] {
    let line = try #require(output.split(separator: "\n").last)
    return try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func `the table of the README is what the methods say of themselves`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let listed = try CommandProcess.run(["methods", "--format", "markdown"], in: tiny.folder)
    let readme = try String(contentsOf: packageRoot.appending(path: "README.md"), encoding: .utf8)
    let begin = try #require(readme.range(of: "<!-- methods: "))
    let end = try #require(readme.range(of: "<!-- end of methods -->"))
    let block = readme[begin.upperBound..<end.lowerBound].drop { $0 != "\n" }.dropFirst()
    #expect(listed.output.split(separator: "\n").count > 20)
    #expect(String(block) == listed.output, "run scripts/update-methods-table")
  }

  @Test func `a result as JSON has what clients use, sizes and the bias by projection`() throws {
    let tiny = try TinyFederation(rounds: 2)
    let fedit = try result(
      of: try CommandProcess.run(["run", "tiny.yaml", "--json"], in: tiny.folder).output)
    #expect(fedit["metric"] as? String == "accuracy")
    #expect(fedit["clients"] is NSNull)
    let bias = try #require(fedit["aggregationBias"] as? [String: Any])
    let sites = try #require(bias["sites"] as? [String: [String: Double]])
    #expect(sites.count == 4)
    #expect(sites.values.allSatisfy { ($0["norm"] ?? -1) >= 0 && $0["relative"] != nil })
    #expect(fedit["personalBytes"] as? Int == 0)

    let personal = try CommandProcess.run(
      ["run", "tiny.yaml", "--json", "--name", "own", "--set", "method=fedsa-lora"],
      in: tiny.folder)
    let own = try result(of: personal.output)
    let clients = try #require(own["clients"] as? [String: Double])
    #expect(Set(clients.keys) == ["mean", "worst", "deviation"])
    #expect(try #require(clients["worst"]) <= (try #require(clients["mean"])))
    let parameters = try #require(own["parameters"] as? [String: Int])
    #expect(own["personalBytes"] as? Int == 4 * (try #require(parameters["personal"])))

    let unequal = try CommandProcess.run(
      [
        "run", "tiny.yaml", "--json", "--name", "ranks", "--set",
        "method={name: hetlora, ranks: {rule: listed, list: [1, 2, 4]}}",
      ], in: tiny.folder)
    let ranks = try #require(try result(of: unequal.output)["clientRanks"] as? [String: Int])
    #expect(Set(ranks.values).isSubset(of: [1, 2, 3, 4]) && Set(ranks.values).count > 1)
  }

  /// Makes the last norm of the tiny decoder so large that it is sure of everything, and wrong.
  private func exaggerate(_ file: URL) throws {
    var data = try Data(contentsOf: file)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 + Int($1) }
    let header = try #require(
      try JSONSerialization.jsonObject(with: data[8..<(8 + length)]) as? [String: Any])
    let entry = try #require(header["model.norm.weight"] as? [String: Any])
    let place = try #require(entry["data_offsets"] as? [Int])
    let bytes = withUnsafeBytes(of: Float(10_000).bitPattern.littleEndian) { Data($0) }
    for start in stride(from: 8 + length + place[0], to: 8 + length + place[1], by: 4) {
      data.replaceSubrange(start..<(start + 4), with: bytes)
    }
    try data.write(to: file)
  }

  @Test func `a number that JSON cannot spell is null, and all others are there`() throws {
    let tiny = try TinyInstructions(rounds: 1)
    try exaggerate(tiny.folder.appending(path: "checkpoint/model.safetensors"))
    let run = try CommandProcess.run(["run", "tiny.yaml", "--json"], in: tiny.folder)
    #expect(run.status == 0, "\(run.errors)")
    let found = try result(of: run.output)
    #expect(found["perplexity"] is NSNull)
    #expect(try #require(found["loss"] as? Double) > 710)
    #expect(found["rounds"] as? Int == 1)
  }

  @Test func `a comparison resumes, and reports means with deviations in every notation`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let one = [
      "compare", "tiny.yaml", "--methods", "fedit", "local", "--target", "0.01", "--quiet",
    ]
    let first = try CommandProcess.run(one + ["--seeds", "1"], in: tiny.folder)
    #expect(first.status == 0, "\(first.errors)")
    #expect(!first.output.contains("±"))
    let both = try CommandProcess.run(one + ["--seeds", "1", "2"], in: tiny.folder)
    for heading in ["accuracy", "worst client", "up", "down", "rounds to it", "traffic to it"] {
      #expect(both.output.contains(heading), "\(heading)")
    }
    #expect(both.output.contains("% ± "))
    let folder = tiny.folder.appending(path: "runs/tiny")
    func text(_ name: String) throws -> String {
      try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }
    #expect(try text("comparison.md").contains("shared parameters"))
    #expect(try text("comparison.csv").hasPrefix("entry,runs,accuracy,accuracy_deviation,"))
    let rows = try #require(
      try JSONSerialization.jsonObject(with: Data(try text("comparison.json").utf8))
        as? [[String: Any]])
    #expect(rows.count == 2 && rows.allSatisfy { $0["runs"] as? Int == 2 })
    #expect(rows[1]["accuracy"] is NSNull && rows[1]["clients_accuracy"] is Double)
    #expect(try text("accuracy-by-rounds.svg").contains("<svg"))
    let again = try CommandProcess.run(
      one + ["--seeds", "1", "2", "--format", "csv"], in: tiny.folder)
    #expect(again.output == (try text("comparison.csv")))
  }

  @Test func `presets are listed, printed and run on a folder of data`() throws {
    let tiny = try TinyFederation(clients: 20, rounds: 1)
    let listed = try CommandProcess.run(
      ["compare", "--list-presets", "--format", "csv"], in: tiny.folder)
    #expect(listed.output.contains("ag-news-dirichlet,"))
    let printed = try CommandProcess.run(
      ["compare", "--preset", "ag-news-shards", "--print-preset"], in: tiny.folder)
    try Data(printed.output.utf8).write(to: tiny.folder.appending(path: "mine.yaml"))
    let settings = [
      "--model", "checkpoint", "--methods", "ffa-lora", "--seeds", "4", "--quiet", "--set",
      "data.train=rows.jsonl", "federation.rounds=1", "data.partition.clients=4",
      "federation.sampling.cohort-size=2", "model.precision=float32",
    ]
    let run = try CommandProcess.run(
      ["compare", "--preset", "ag-news-shards", "--data", "."] + settings, in: tiny.folder)
    #expect(run.status == 0 && run.output.contains("ffa-lora"), "\(run.errors)")
    let same = try CommandProcess.run(["compare", "mine.yaml"] + settings, in: tiny.folder)
    #expect(same.status == 0, "\(same.errors)")
    #expect(same.output == run.output)
    for wrong in [
      ["compare"], ["compare", "--preset", "flan"], ["compare", "x", "--print-preset"],
    ] {
      #expect(try CommandProcess.run(wrong, in: tiny.folder).status == 64)
    }
    let unnamed = try CommandProcess.run(
      ["compare", "--preset", "flan", "--data", "."], in: tiny.folder)
    #expect(unnamed.status == 78 && unnamed.errors.contains("--model"), "\(unnamed.errors)")
  }
}

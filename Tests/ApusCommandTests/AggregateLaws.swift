import ApusTestSupport
import Foundation
import Testing

/// What `apus aggregate` reads, refuses and writes.
@Suite struct AggregateLaws {
  private let tiny: TinyInstructions
  private var base: URL { tiny.folder.appending(path: "checkpoint") }

  /// Three adapters of a decoder; the last one has a rank of its own.
  init() throws {
    tiny = try TinyInstructions()
    for (index, rank) in [2, 2, 3].enumerated() {
      try TinyAdapter.write(
        to: tiny.folder.appending(path: "site\(index)"), rank: rank, seed: index, on: base)
    }
  }

  private func aggregate(
    _ arguments: [String], of folders: [String] = ["site0", "site1"], out: String = "out"
  ) throws -> CommandProcess.Result {
    try CommandProcess.run(["aggregate", "--out", out] + arguments + folders, in: tiny.folder)
  }

  private func files(_ folder: String) -> [String] {
    let path = tiny.folder.appending(path: folder).path
    return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }

  private func json(_ data: Data) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func configuration(_ folder: String) throws -> [String: Any] {
    try json(Data(contentsOf: tiny.folder.appending(path: "\(folder)/adapter_config.json")))
  }

  private func tensors(_ folder: String) throws -> Data {
    try Data(
      contentsOf: tiny.folder.appending(path: "\(folder)/adapter_model.safetensors"))
  }

  @Test func `without options it is FedEx-LoRA, and every folder counts alike`() throws {
    let plain = try aggregate([])
    #expect(plain.status == 0, "\(plain.errors)")
    #expect(plain.errors.isEmpty)
    let written = files("out")
    #expect(written.contains("adapter_config.json") && written.contains("README.md"))
    let metrics = try json(Data(plain.output.utf8))
    let norms = try ["ideal", "written", "missed"].map {
      try #require(metrics["\($0)_norm"] as? Double)
    }
    #expect(norms[0] > 0 && abs(norms[1] - norms[0]) < 1e-4 * norms[0])
    #expect(norms[2] < 1e-3 * norms[0])
    let said = try aggregate(["--method", "FedEx-LoRA", "--weights", "7,7"], out: "said")
    #expect(said.status == 0 && said.output == plain.output, "\(said.errors)")
    #expect(try tensors("said") == tensors("out"))
  }

  @Test func `weights may have spaces, and change what is written`() throws {
    #expect(try aggregate([]).status == 0)
    #expect(try aggregate(["--weights", "1,3"], out: "tight").status == 0)
    let wide = try aggregate(["--weights", " 1 , 3.0 "], out: "wide")
    #expect(wide.status == 0, "\(wide.errors)")
    #expect(try tensors("tight") == tensors("wide"))
    #expect(try tensors("tight") != tensors("out"))
  }

  @Test(arguments: [
    ("100,abc", 64, "such as 100,250"), ("1,,2", 64, "such as 100,250"),
    ("1,2,", 64, "such as 100,250"), ("", 64, "such as 100,250"),
    ("1", 78, "1 weights for 2 folders"), ("1,2,3", 78, "3 weights for 2 folders"),
    ("1,0", 78, "0.0 is no weight"), ("1,-2", 78, "-2.0 is no weight"),
    ("nan,1", 78, "nan is no weight"), ("1,inf", 78, "inf is no weight"),
  ])
  func `weights that are none are refused`(weights: String, status: Int32, told: String) throws {
    let result = try aggregate(["--weights", weights])
    #expect(result.status == status)
    #expect(result.errors.contains(told), "\(result.errors)")
    #expect(result.output.isEmpty && files("out").isEmpty)
  }

  @Test(arguments: [
    ("fedex-lra", 78, "Did you mean \"fedex-lora\"?"), ("fedbiot", 65, "public rows"),
    ("local", 65, "nothing is sent"),
  ])
  func `a method that is unknown or cannot is refused with the reason`(
    method: String, status: Int32, told: String
  ) throws {
    let result = try aggregate(["--method", method])
    #expect(result.status == status)
    #expect(result.errors.hasPrefix("apus: ") && result.errors.contains(told), "\(result.errors)")
    #expect(files("out").isEmpty)
  }

  @Test func `the base is named in what is written, and is one on which the adapters fit`() throws {
    let named = try aggregate(["--base", "checkpoint"])
    #expect(named.status == 0, "\(named.errors)")
    let name = try configuration("out")["base_model_name_or_path"] as? String
    #expect(
      name.map { URL(filePath: $0).resolvingSymlinksInPath() }
        == base.resolvingSymlinksInPath())
    let missing = try aggregate(["--base", "nowhere"], out: "other")
    #expect(missing.status == 66 && missing.errors.contains("nowhere"), "\(missing.errors)")
    let llama = packageRoot.appending(path: "Tests/Fixtures/decoders/llama/tiny").path
    let foreign = try aggregate(["--base", llama], out: "other")
    #expect(foreign.status == 65, "\(foreign.errors)")
    for told in ["site0", "layers.0.self_attn.q_proj"] { #expect(foreign.errors.contains(told)) }
    #expect(files("other").isEmpty)
  }

  @Test func `merged it is a checkpoint that writes what the adapter lets the base write`() throws {
    let alone = try aggregate(["--merged"])
    #expect(alone.status == 64 && alone.errors.contains("--base"), "\(alone.errors)")
    let method = ["--method", "flora", "--base", "checkpoint"]
    let adapter = try aggregate(method)
    let merged = try aggregate(method + ["--merged"], out: "merged")
    #expect(merged.status == 0, "\(merged.errors)")
    #expect(merged.output == adapter.output)
    #expect(files("merged").contains("model.safetensors"))
    #expect(!files("merged").contains { $0.hasPrefix("adapter") })
    let ways = [["merged"], ["checkpoint", "--adapter", "out"], ["checkpoint"]]
    let texts = try ways.map { way in
      let result = try CommandProcess.run(
        ["generate", "--json", "--max-new-tokens", "6"] + way, in: tiny.folder,
        input: "the ship\nold seed\nnear\na deck of soil\n")
      #expect(result.status == 0, "\(result.errors)")
      return result.output
    }
    #expect(texts[0].split(separator: "\n").count == 4)
    #expect(texts[0] == texts[1] && texts[0] != texts[2])
    let into = try aggregate(method + ["--merged"])
    #expect(into.status == 66 && into.errors.contains("would be lost"), "\(into.errors)")
  }

  @Test func `an adapter is replaced, and other files are never lost`() throws {
    #expect(try aggregate([]).status == 0)
    let before = try tensors("out")
    let again = try aggregate(["--weights", "1,9"])
    #expect(again.status == 0, "\(again.errors)")
    #expect(try tensors("out") != before)
    let file = tiny.folder.appending(path: "out/thesis.txt")
    try Data("mine".utf8).write(to: file)
    let after = try tensors("out")
    let refused = try aggregate([])
    #expect(refused.status == 66 && refused.errors.contains("thesis.txt"), "\(refused.errors)")
    #expect(try Data(contentsOf: file) == Data("mine".utf8) && tensors("out") == after)
    #expect(files(".").filter { $0.hasPrefix(".out") }.isEmpty)
  }

  @Test func `folders that are none are refused by name`() throws {
    #expect(try aggregate([], of: []).status == 64)
    for folder in ["checkpoint", "nowhere"] {
      let result = try aggregate([], of: ["site0", folder])
      #expect(result.status == 66, "\(result.errors)")
      #expect(result.errors.contains("\(folder)/adapter_config.json"), "\(result.errors)")
    }
    #expect(files("out").isEmpty)
  }

  @Test func `unequal ranks go through methods that take them`() throws {
    let ranks = ["site0", "site2"]
    let refused = try aggregate(["--method", "fedit"], of: ranks)
    #expect(refused.status == 65 && refused.errors.contains("[2, 32]"), "\(refused.errors)")
    #expect(files("out").isEmpty)
    let flora = try aggregate(["--method", "flora"], of: ranks)
    #expect(flora.status == 0, "\(flora.errors)")
    let configuration = try configuration("out")
    // Stacked, 2 + 3 at every site, so that no site differs from the others.
    #expect(configuration["r"] as? Int == 5 && configuration["lora_alpha"] as? Double == 5)
    #expect((configuration["rank_pattern"] as? [String: Int])?.isEmpty == true)
    let opened = try CommandProcess.run(
      ["generate", "checkpoint", "--adapter", "out"], in: tiny.folder, input: "the ship\n")
    #expect(opened.status == 0, "\(opened.errors)")
  }

  @Test func `a combined classifier predicts, with the head that was averaged`() throws {
    let encoder = try TinyFederation(rounds: 1)
    let checkpoint = encoder.folder.appending(path: "checkpoint")
    for index in 0..<2 {
      try TinyAdapter.write(
        to: encoder.folder.appending(path: "site\(index)"), rank: 2, seed: index, on: checkpoint)
    }
    let combined = try CommandProcess.run(
      ["aggregate", "site0", "site1", "--out", "out"], in: encoder.folder)
    #expect(combined.status == 0, "\(combined.errors)")
    let scores = try ["site0", "site1", "out"].map { folder in
      let result = try CommandProcess.run(
        ["predict", folder, "--json", "the ship"], in: encoder.folder)
      #expect(result.status == 0, "\(result.errors)")
      return try #require(json(Data(result.output.utf8))["scores"] as? [String: Double])
    }
    #expect(Set(scores[2].keys) == ["ship", "seed", "string"])
    #expect(scores[2] != scores[0] && scores[2] != scores[1])
  }
}

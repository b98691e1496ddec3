import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import Testing

@testable import ApusAdapters

@Suite struct TargetLaws {
  private func paths(_ change: (inout AdapterConfiguration) -> Void) throws -> [String] {
    let adapted = try AdaptedModel(
      Golden.model(), lora(change), random: RandomStream(seed: 1))
    return adapted.factorPairs.map { String($0.site.dropFirst("bert.".count)) }
  }

  @Test func `names match whole endings of paths`() throws {
    #expect(try paths { $0.targets = .names(["query"]) }.count == 2)
    #expect(try paths { $0.targets = .names(["self.query", "pooler.dense"]) }.count == 3)
    #expect(
      try paths { $0.targets = .names(["bert.encoder.layer.1.output.dense"]) }
        == ["encoder.layer.1.output.dense"])
    #expect(try paths { $0.targets = .names(["output.dense"]) }.count == 4)
    #expect(try paths { $0.targets = .allLinear }.count == 13)
  }

  @Test func `expressions match whole paths, excludes and layers take away`() throws {
    #expect(try paths { $0.targets = .expression(#".*layer\.0\..*\.(query|key)"#) }.count == 2)
    #expect(throws: ApusError.self) { try paths { $0.targets = .expression("query") } }
    #expect(
      try paths {
        $0.targets = .names(["dense"])
        $0.excludes = .names(["pooler.dense", "intermediate.dense"])
      }.count == 4)
    #expect(
      try paths { $0.layers = [1] } == [
        "encoder.layer.1.attention.self.query", "encoder.layer.1.attention.self.value",
      ])
    #expect(
      try paths {
        $0.targets = .allLinear
        $0.modulesToSave = ["classifier", "pooler"]
      }.count == 12)
  }

  @Test(arguments: [
    (["qeury"], "query"), (["query", "valeu"], "value"), (["uery"], "query"),
    (["intermediat.dense"], "intermediate.dense"), (["word_embeddings"], "dense, key"),
  ])
  func `a target that matches nothing is named, with its likeness`(
    targets: [String], meant: String
  ) throws {
    let error = #expect(throws: ApusError.self) { try paths { $0.targets = .names(targets) } }
    #expect(error?.code == .silentFailure)
    #expect(error?.problem.contains(targets.last ?? "") == true)
    #expect(error?.remedy.contains(meant) == true, "\(error?.remedy ?? "")")
  }

  @Test func `configurations that make no sense are refused`() throws {
    let changes: [(inout AdapterConfiguration) -> Void] = [
      { $0.rank = 0 }, { $0.rank = 33 }, { $0.alpha = .nan }, { $0.alpha = 0 },
      { $0.dropout = 1 }, { $0.targets = .names([]) }, { $0.targets = .expression("(") },
      { $0.rankPattern = ["[": 2] }, { $0.rankPattern = ["query": 0] },
      { $0.alphaPattern = ["query": -1] }, { $0.modulesToSave = ["clasifier"] },
      { $0.excludes = .names(["query", "value"]) }, { $0.layers = [5] },
    ]
    for change in changes {
      #expect(throws: ApusError.self) { try paths(change) }
    }
  }

  @Test func `patterns set rank and scaling of single modules`() throws {
    let adapted = try AdaptedModel(
      Golden.model(),
      lora {
        $0.rankPattern = ["layer.0.attention.self.query": 5]
        $0.alphaPattern = [#"layer\.\d\.attention\.self\.query"#: 15]
      }, random: RandomStream(seed: 1))
    let scalings = Dictionary(
      uniqueKeysWithValues: adapted.factorPairs.map { ($0.site, $0.scaling) })
    #expect(scalings["bert.encoder.layer.0.attention.self.query"] == 3)
    #expect(scalings["bert.encoder.layer.1.attention.self.query"] == 15.0 / 8)
    #expect(scalings["bert.encoder.layer.1.attention.self.value"] == 1)
  }
}

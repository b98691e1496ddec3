import ApusBase
import ApusCore
import ApusExperiments
import ApusMethods
import ApusSimulation
import ApusTestSupport
import Foundation
import Testing

@Suite struct ComparisonLaws {
  private func comparison(
    _ tiny: TinyFederation, _ settings: [String]
  ) throws -> Comparison {
    try Comparison(
      contentsOf: tiny.experiment, assignments: settings, runs: tiny.folder.appending(path: "runs"))
  }

  @Test func `entries are methods, then variants, each with every value of the grid`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let comparison = try comparison(
      tiny,
      [
        "compare.methods=[fedit, ffa-lora]",
        "compare.variants=[{name: slow, set: {training.learning-rate: 1e-5}}]",
        "compare.grid={training.learning-rate: [1e-3, 1e-2], adapter.rank: [2]}",
        "compare.seeds=[1, 2, 5]",
      ])
    #expect(comparison.entries.count == 6)
    #expect(comparison.entries.first == "fedit_rank_2_learning-rate_1e-3")
    #expect(comparison.members.count == 18)
    #expect(Set(comparison.members.map(\.folder)).count == 18)
    let member = try #require(comparison.members.last)
    #expect(member.seed == 5)
    #expect(member.experiment.seed == 5)
    #expect(member.experiment.training.learningRate == 1e-2)
    #expect(comparison.members[6].experiment.method.card.id == "ffa-lora")
  }

  @Test func `a file without the section compares nothing but itself`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let alone = try comparison(tiny, [])
    #expect(alone.entries == ["fedit"])
    #expect(alone.members.map(\.seed) == [3])
  }

  @Test(arguments: [
    (["compare.methods=[fedit, fedit]"], "two entries"),
    (["compare.methods=[fedlt]"], "entry fedlt"),
    (["compare.seeds=[1, 1]"], "seed"),
    (["compare.grid={training.learning-rate: []}"], "no value"),
    (["compare.grid={training.learning-rat: [1]}"], "learning-rate"),
    (["compare.variants=[{name: a/b, set: {}}]"], "folder"),
    (["compare.sedes=[1]"], "seeds"),
  ])
  func `what is wrong is said before anything runs`(settings: [String], says: String) throws {
    let tiny = try TinyFederation(rounds: 1)
    let error = #expect(throws: ApusError.self) { try comparison(tiny, settings) }
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
  }

  @Test func `finished runs are recognised, and their numbers are means over the seeds`()
    async throws
  {
    let tiny = try TinyFederation(rounds: 2)
    let settings = [
      "compare.methods=[fedit, local]", "compare.seeds=[1, 2]", "compare.target=0.01",
    ]
    let comparison = try comparison(tiny, settings)
    for member in comparison.members {
      #expect(try !member.isFinished)
      let run = try ExperimentRun(
        Assembly(member.experiment), folder: member.folder, resuming: try member.hasBegun)
      _ = try await run.run()
      #expect(try member.isFinished)
    }
    let results = try comparison.results()
    let fedit = try #require(results.first)
    var finals: [Double] = []
    for member in comparison.members where member.entry == "fedit" {
      let rows = try RunArchive(member.folder).metrics()
      finals.append(
        try #require(rows.last { $0.scope == "global/test" && $0.metric == "accuracy" }).value)
    }
    #expect(fedit.runs == 2)
    #expect(fedit.global?.mean == (finals[0] + finals[1]) / 2)
    #expect(
      abs((fedit.global?.deviation ?? 0) - abs(finals[0] - finals[1]) / 2.0.squareRoot()) < 1e-12)
    #expect(fedit.curve.map(\.round) == [0, 1])
    #expect(fedit.curve.last?.bytes == fedit.uplinkBytes + fedit.downlinkBytes)
    #expect(fedit.reached == 2)
    let local = try #require(results.last)
    #expect(local.global == nil)
    #expect(local.personal != nil)
    #expect(local.worstClient.map { $0.mean <= (local.personal?.mean ?? 0) } == true)
    // Another setting is another comparison, and is not mixed with this one.
    let other = try Comparison(
      contentsOf: tiny.experiment, assignments: settings + ["training.learning-rate=1e-4"],
      runs: tiny.folder.appending(path: "runs"))
    #expect(throws: ApusError.self) { try other.results() }
  }

  @Test func `the metric is the headline of the task unless another is named`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let writing = try TinyInstructions(rounds: 1)
    #expect(try comparison(tiny, []).metric == "accuracy")
    #expect(try comparison(tiny, ["compare.metric=macro_f1"]).metric == "macro_f1")
    let words = try Comparison(
      contentsOf: writing.experiment, runs: writing.folder.appending(path: "runs"))
    #expect(words.metric == "token_accuracy")
  }

  @Test func `named methods are entries of the file where it has them`() throws {
    let tiny = try TinyFederation(rounds: 1)
    let some = try Comparison(
      contentsOf: tiny.experiment,
      assignments: [
        "compare.variants=[{name: rolora, set: {method.name: rolora, method.trains-head: true}}]"
      ], methods: ["local", "rolora"], runs: tiny.folder.appending(path: "runs"))
    #expect(some.entries == ["local", "rolora"])
    let settings = ExperimentRun.description(of: some.members[1].experiment).configuration
    #expect(settings["method.trains-head"] == "true")
  }

  @Test func `parameters, bias and what clients use are there for every entry that has them`()
    async throws
  {
    let tiny = try TinyFederation(rounds: 2)
    let comparison = try comparison(
      tiny,
      ["compare.methods=[fedit, fedsa-lora]", "federation.evaluation.client-splits=[test]"])
    for member in comparison.members {
      let run = try ExperimentRun(
        Assembly(member.experiment), folder: member.folder, resuming: false)
      _ = try await run.run()
    }
    let results = try comparison.results()
    for (result, member) in zip(results, comparison.members) {
      let counts = try Assembly(member.experiment).parameterCounts
      #expect(result.sharedParameters == Double(counts.shared))
      #expect(result.personalParameters == Double(counts.personal))
      #expect(result.personal != nil && result.worstClient != nil && result.clientSpread != nil)
    }
    #expect(results[0].aggregationBias.map { $0.mean > 0 } == true)
    #expect(results[1].aggregationBias == nil)
    #expect(results[0].meanRank == nil)
  }

  @Test func `a spread has the deviation of the sample`() {
    let spread = ComparisonOutcome.Spread([1, 3])
    #expect(spread?.mean == 2)
    #expect(spread?.deviation == 2.0.squareRoot())
    #expect(ComparisonOutcome.Spread([7])?.deviation == 0)
    #expect(ComparisonOutcome.Spread([]) == nil)
  }
}

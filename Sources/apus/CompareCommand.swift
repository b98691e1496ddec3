import ApusBase
import ApusExperiments
import ApusReports
import ApusSimulation
import ArgumentParser
import Foundation

/// `apus compare`: several methods on the same federation, and one table.
struct CompareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Run several methods, or one over a grid, on the same federation; print one table.",
    discussion: """
      What is compared stands in the section "compare" of the experiment file (methods, variants, \
      grid, seeds, target, metric) or in the options here. Each run is kept in \
      runs/<name>/<entry>/seed-<n>; a comparison that was interrupted goes on where it was, and \
      finished runs are not repeated. The report lies beside them as Markdown, CSV, JSON and SVG.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments

  @Option(parsing: .upToNextOption, help: "Methods by id, instead of those of the file.")
  var methods: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: "Values to try for one or more settings, such as training.learning-rate=1e-3,1e-2.")
  var grid: [String] = []

  @Option(parsing: .upToNextOption, help: "Seeds; each entry runs once with each.")
  var seeds: [UInt64] = []

  @Option(help: "Value of the metric whose first round and traffic are reported.")
  var target: Double?

  @Option(help: "Folder of all runs.")
  var runs = "runs"

  @Option(help: "Name of the comparison, instead of the experiment's.")
  var name: String?

  @Flag(name: .shortAndLong, help: "No progress, no curves.")
  var quiet = false

  @ArgumentParser.OptionGroup var format: FormatArguments

  func run() async throws {
    let comparison = try Comparison(
      contentsOf: URL(fileURLWithPath: arguments.experiment),
      assignments: arguments.assignments + (try assignments()),
      runs: URL(fileURLWithPath: runs), name: name)
    for (index, member) in comparison.members.enumerated() where !(try member.isFinished) {
      try await train(member, "\(index + 1) of \(comparison.members.count)")
    }
    let report = ComparisonReport(comparison, try comparison.results())
    try report.write()
    if !quiet, format.format == .table {
      StandardStream.output.write(report.curves(on: .current(.output)))
    }
    format.show(report.table)
    StandardStream.error.write("Report: \(comparison.folder.path)/comparison.md\n")
  }

  /// The options here as settings of the file's section.
  private func assignments() throws -> [String] {
    var assignments: [String] = []
    if !methods.isEmpty {
      // Methods on the command line replace all entries of the file.
      assignments.append("compare.methods=[\(methods.joined(separator: ", "))]")
      assignments.append("compare.variants=[]")
    }
    if !grid.isEmpty {
      let entries = try grid.map { entry in
        let parts = entry.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else {
          throw ValidationError("--grid \(entry): expected key=value,value")
        }
        let values = parts[1].split(separator: ",").map { "\"\($0)\"" }.joined(separator: ", ")
        return "\"\(parts[0])\": [\(values)]"
      }
      assignments.append("compare.grid={\(entries.joined(separator: ", "))}")
    }
    if !seeds.isEmpty {
      assignments.append("compare.seeds=[\(seeds.map(String.init).joined(separator: ", "))]")
    }
    if let target { assignments.append("compare.target=\(target)") }
    return assignments
  }

  private func train(_ member: Comparison.Member, _ place: String) async throws {
    let display = ProgressDisplay.standard(quiet ? .quiet : nil)
    defer { display.close() }
    let assembly = try Assembly(member.experiment)
    let run = try ExperimentRun(assembly, folder: member.folder, resuming: try member.hasBegun)
    display.report(
      .runStarted(
        title: "\(place) · \(member.entry), seed \(member.seed)",
        rounds: member.experiment.federation.rounds))
    try await Interruption.cancelling {
      _ = try await run.run(observer: { event in
        for event in RunProgress.events(of: event) { display.report(event) }
      })
    }
    display.report(.runFinished)
  }
}

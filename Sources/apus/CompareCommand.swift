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
      finished runs are not repeated. The report lies beside them as Markdown, CSV, JSON and SVG. \
      A preset is such a file that comes with apus: it needs the folder of its data, and some a \
      model; --set changes it, and --print-preset writes it as a file to start from.
      """)

  @Argument(help: "The experiment file (YAML), unless there is a preset.")
  var experiment: String?

  @Option(help: "A comparison that comes with apus; --list-presets shows them.")
  var preset: String?

  @Option(help: "Folder of the data, from which paths start.")
  var data: String?

  @Option(help: "Checkpoint, instead of that of the file or preset.")
  var model: String?

  @Flag(help: "List the presets and what they read.")
  var listPresets = false

  @Flag(help: "Print the preset as an experiment file, and run nothing.")
  var printPreset = false

  @Option(
    name: .customLong("set"), parsing: .upToNextOption,
    help: "Settings over those of the file, such as training.learning-rate=1e-3.")
  var assignments: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: "Entries of the file by name, or methods by id, instead of all that it names.")
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

  func validate() throws {
    guard !listPresets else { return }
    guard (experiment == nil) != (preset == nil) else {
      throw ValidationError("Give an experiment file, or --preset with one of --list-presets.")
    }
    guard preset == nil || printPreset || data != nil else {
      throw ValidationError("Give the folder of the preset's data with --data.")
    }
    guard preset != nil || !printPreset else {
      throw ValidationError("Name the preset to print with --preset.")
    }
  }

  func run() async throws {
    guard !listPresets else { return format.show(PresetList.table) }
    let preset = try preset.map { try ComparisonPreset.named($0) }
    if let preset, printPreset {
      return StandardStream.output.write(try preset.text(model: model))
    }
    let comparison = try comparison(preset)
    for (index, member) in comparison.members.enumerated() where !(try member.isFinished) {
      try await train(member, "\(index + 1) of \(comparison.members.count)")
    }
    let report = ComparisonReport(comparison, try comparison.results())
    try report.write()
    if !quiet, format.format == .table {
      StandardStream.output.write(report.curves(on: .current(.output)))
    }
    format.show(format.isForPrograms ? report.dataTable : report.table)
    StandardStream.error.write("Report: \(comparison.folder.path)/comparison.md\n")
  }

  /// The comparison of the file or of the preset, with the options here over it.
  private func comparison(_ preset: ComparisonPreset?) throws -> Comparison {
    let folder = data.map { URL(fileURLWithPath: $0, isDirectory: true) }
    let runs = URL(fileURLWithPath: runs)
    let settings = assignments + (try ownAssignments())
    if let preset, let folder {
      return try Comparison(
        parsing: preset.text(model: model), file: "preset \(preset.name)", folder: folder,
        assignments: settings, methods: methods, runs: runs, name: name)
    }
    var over = settings
    if let folder { over.append("folder=\(YAMLText.quoted(folder.path))") }
    if let model { over.append("model.checkpoint=\(YAMLText.quoted(model))") }
    return try Comparison(
      contentsOf: URL(fileURLWithPath: experiment ?? ""), assignments: over, methods: methods,
      runs: runs, name: name)
  }

  /// The options here as settings of the file's section.
  private func ownAssignments() throws -> [String] {
    var assignments: [String] = []
    if !grid.isEmpty {
      let entries = try grid.map { entry in
        let parts = entry.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else {
          throw ValidationError("--grid \(entry): expected key=value,value")
        }
        let values = parts[1].split(separator: ",").map { YAMLText.quoted(String($0)) }
          .joined(separator: ", ")
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

/// The presets as a table.
enum PresetList {
  static var table: Table {
    var table = Table([
      .init("preset"), .init("what is compared", key: "summary"), .init("follows", key: "papers"),
      .init("the folder of data holds", key: "files"), .init("model"),
    ])
    for preset in ComparisonPreset.all {
      table.append([
        .text(preset.name), .text(preset.summary), .text(preset.papers), .text(preset.files),
        .text(preset.defaultModel ?? "a language model, with --model"),
      ])
    }
    return table
  }
}

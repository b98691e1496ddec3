import ApusBase
import ApusExperiments
import ApusReports
import ArgumentParser
import Foundation

/// An experiment file and what is set over it.
struct ExperimentArguments: ParsableArguments {
  @Argument(help: "The experiment file (YAML).")
  var experiment: String

  @Option(
    name: .customLong("set"), parsing: .upToNextOption,
    help: "Settings over those of the file, such as training.learning-rate=1e-3.")
  var assignments: [String] = []

  /// The experiment, read and checked.
  func load() throws -> Experiment {
    try Experiment(contentsOf: URL(fileURLWithPath: experiment), assignments: assignments)
  }
}

/// How a table is printed.
struct FormatArguments: ParsableArguments {
  /// The formats, as the command line spells them.
  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case table
    case markdown
    case csv
    case json
  }

  @Option(help: "table, markdown, csv or json.")
  var format = Kind.table

  /// Whether a program reads it rather than a person.
  var isForPrograms: Bool { format == .csv || format == .json }

  /// Prints a table on standard output.
  func show(_ table: Table) {
    let terminal = Terminal.current(.output)
    let format = Table.Format(rawValue: format.rawValue) ?? .terminal
    StandardStream.output.write(table.rendered(as: format, on: terminal))
  }
}

/// Lines of standard input or of a file, split at line feeds alone.
enum InputLines {
  static func read(_ path: String?) throws(ApusError) -> [String] {
    let data: Data
    if let path {
      do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
        throw ApusError(
          .fileAccess, at: path, "the file cannot be read",
          remedy: "Check the path, or leave it out to read standard input", cause: error)
      }
    } else {
      data = FileHandle.standardInput.readDataToEndOfFile()
    }
    var lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { String(decoding: $0, as: UTF8.self) }
  }
}

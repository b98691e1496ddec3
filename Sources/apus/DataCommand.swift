import ApusBase
import ApusCore
import ApusDatasets
import ApusExperiments
import ApusReports
import ArgumentParser
import Foundation

/// `apus data`: who holds what, and how unlike the clients are.
struct DataCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Show the partition of an experiment: sizes, labels and measures of skew.")

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments
  @ArgumentParser.OptionGroup var format: FormatArguments

  @Option(help: "Write the label distribution as an SVG picture to this file.")
  var svg: String?

  @Option(
    help: "Write the partition as a JSON file of index lists, which data.partition.file reads.")
  var save: String?

  @Flag(
    help: ArgumentHelp(
      "Also measure how unlike clients are to the experiment's model and on its devices.",
      discussion: """
        Distances between features, disagreement of gradients, time of a round. CSV and JSON are one \
        table: of rows without classes these measures instead of the clients' sizes.
        """))
  var model = false

  @Option(help: "With --model, rows of each client that are measured, at most.")
  var rows = 64

  func validate() throws {
    guard rows >= 2 else { throw ValidationError("--rows must be at least 2.") }
  }

  func run() async throws {
    let experiment = try arguments.load()
    let assembly = model ? try Assembly(experiment) : nil
    let data = try assembly?.data ?? ExperimentData(experiment)
    let probe: HeterogeneityProbe? =
      if let assembly { try await HeterogeneityProbe(assembly, rowsPerClient: rows) } else { nil }
    let federated = data.federated
    for finding in data.findings { StandardStream.error.write("note: \(finding)\n") }
    if let save { try PartitionFile(URL(fileURLWithPath: save)).write(federated.partition) }
    guard !federated.dataset.labelNames.isEmpty else {
      if probe == nil || !format.isForPrograms { format.show(Self.sizes(federated)) }
      if let probe { format.show(HeterogeneityTable.measures(probe)) }
      if svg != nil { StandardStream.error.write("note: rows without classes make no picture\n") }
      return
    }
    let report = try HeterogeneityReport(federated.partition, of: federated.dataset)
    let bars = StackedBars(
      title: "\(federated.dataset.name): labels by client", classNames: report.labelNames,
      bars: zip(report.clients, report.labelCounts).map { .init($0.name, $1) })
    if format.format == .table {
      StandardStream.output.write(bars.text(on: .current(.output)) + "\n")
    }
    var table = HeterogeneityTable.measures(report, test: federated.test.count)
    if let probe { HeterogeneityTable.append(probe, to: &table) }
    format.show(table)
    if let svg { try OutputFile.write(Data(bars.svg.utf8), to: svg) }
  }

  /// Who holds how many rows, where rows have no classes.
  private static func sizes(_ federated: FederatedDataset) -> Table {
    var table = Table([.init("client"), .init("rows", .right), .init("training", .right)])
    for (client, part) in zip(federated.clients, federated.partition.clients) {
      table.append([
        .text(client.name), .count(part.positions.count), .count(client.split.train.count),
      ])
    }
    return table
  }
}

/// Writing a file that the user asked for.
enum OutputFile {
  static func write(_ data: Data, to path: String) throws(ApusError) {
    do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw ApusError(
        .runState, at: path, "the file cannot be written",
        remedy: "Check that the folder exists and that you may write there", cause: error)
    }
  }
}

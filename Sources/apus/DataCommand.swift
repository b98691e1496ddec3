import ApusBase
import ApusCore
import ApusDatasets
import ApusExperiments
import ApusReports
import ArgumentParser
import Foundation

/// `apus data`: who holds what, and how unlike the clients are.
struct DataCommand: ParsableCommand {
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

  func run() throws {
    let data = try ExperimentData(try arguments.load())
    let federated = data.federated
    for finding in data.findings { StandardStream.error.write("note: \(finding)\n") }
    if let save { try PartitionFile(URL(fileURLWithPath: save)).write(federated.partition) }
    guard !federated.dataset.labelNames.isEmpty else {
      return format.show(Self.sizes(federated))
    }
    let report = try HeterogeneityReport(federated.partition, of: federated.dataset)
    let bars = StackedBars(
      title: "\(federated.dataset.name): labels by client", classNames: report.labelNames,
      bars: zip(report.clients, report.labelCounts).map { .init($0.name, $1) })
    if format.format == .table {
      StandardStream.output.write(bars.text(on: .current(.output)) + "\n")
    }
    format.show(HeterogeneityTable.measures(report, test: federated.test.count))
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

/// Measures of skew as a table.
enum HeterogeneityTable {
  static func measures(_ report: HeterogeneityReport, test: Int) -> Table {
    var table = Table([.init("measure"), .init("value", .right), .init("meaning")])
    let rows = report.clients.reduce(0) { $0 + $1.exampleCount }
    let lines: [(String, Table.Cell, String)] = [
      ("clients", .count(report.clients.count), ""),
      ("rows", .count(rows), "held by clients"),
      ("test rows", .count(test), "the same for all methods"),
      ("classes", .count(report.labelNames.count), ""),
      ("majority class", .percent(report.majorityShare), "accuracy of always guessing it"),
      (
        "label skew (TV)", .number(report.meanTotalVariation),
        "mean total variation from the whole, 0 alike … 1 disjoint; EMD is twice this"
      ),
      ("KL divergence", .number(report.meanDivergence), "mean KL(client ‖ whole), in nats"),
      ("Jensen–Shannon", .number(report.meanJensenShannon), "mean over pairs of clients, in nats"),
      (
        "effective classes", .number(report.meanEffectiveClasses),
        "mean exp(entropy) of a client; \(Quantity.number(report.effectiveClasses, digits: 1)) overall"
      ),
      ("size Gini", .number(report.sizeGini), "0 equal sizes … 1 one client holds all"),
      ("size variation", .number(report.sizeVariation), "standard deviation over mean"),
    ]
    for (name, value, meaning) in lines { table.append([.text(name), value, .text(meaning)]) }
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

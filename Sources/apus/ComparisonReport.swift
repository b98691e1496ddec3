import ApusBase
import ApusExperiments
import ApusReports
import Foundation

/// A comparison as tables and two pictures.
struct ComparisonReport {
  private let comparison: Comparison
  private let results: [ComparisonOutcome]

  init(_ comparison: Comparison, _ results: [ComparisonOutcome]) {
    self.comparison = comparison
    self.results = results
  }

  /// Writes the tables as Markdown, CSV and JSON and the curves as SVG into the comparison's folder.
  func write() throws(ApusError) {
    let folder = comparison.folder
    let files = [
      ("comparison.md", markdown), ("comparison.csv", dataTable.csv),
      ("comparison.json", dataTable.json), ("\(metric)-by-rounds.svg", byRounds.svg),
      ("\(metric)-by-megabytes.svg", byBytes.svg),
    ]
    for (name, text) in files {
      try OutputFile.write(Data(text.utf8), to: folder.appending(path: name).path)
    }
  }

  /// Both tables with a heading.
  private var markdown: String {
    let what = "What crosses and what stays, a run and a client:"
    return "# \(comparison.name)\n\n\(table.markdown)\n\(what)\n\n\(costTable.markdown)"
  }

  /// Both charts, for a terminal.
  func curves(on terminal: Terminal) -> String {
    guard results.contains(where: { $0.curve.count > 1 }) else { return "" }
    return byRounds.text(on: terminal, rows: 12) + "\n" + byBytes.text(on: terminal, rows: 10)
      + "\n"
  }

  /// For people: one line for each entry, a mean and its deviation in one cell.
  var table: Table {
    makeTable(scores + targets + costs) { $0.joined(of: $1, isRepeated) }
  }

  /// For people: what a method costs beside bytes and time.
  private var costTable: Table {
    makeTable(sizes) { $0.joined(of: $1, isRepeated) }
  }

  /// For programs: everything, each number in a column of its own.
  var dataTable: Table {
    let columns = scores + targets + costs + sizes
    return makeTable(
      columns.flatMap { isRepeated && $0.varies ? [$0, $0.deviation] : [$0] }
    ) { $0.cell(of: $1) }
  }

  /// Whether there are several seeds.
  private var isRepeated: Bool { results.contains { $0.runs > 1 } }

  /// What no entry has is left out.
  private func makeTable(
    _ columns: [ComparisonColumn],
    cell: (ComparisonColumn, ComparisonOutcome) -> Table.Cell
  ) -> Table {
    let columns = columns.filter { column in
      column.isAlwaysShown || results.contains { column.number($0) != nil }
    }
    var table = Table(
      [.init("method", key: "entry"), .init("runs", .right)]
        + columns.map { .init($0.title, key: $0.key, .right) })
    for result in results {
      table.append(
        [.text(result.entry), .count(result.runs)] + columns.map { cell($0, result) })
    }
    return table
  }

  private var scores: [ComparisonColumn] {
    [
      .init(title, metric, score) { $0.global },
      .init("clients", "clients_\(metric)", score) { $0.personal },
      .init("worst client", "worst_client_\(metric)", score) { $0.worstClient },
      .init("spread", "client_deviation", score, varies: false) { $0.clientSpread },
    ]
  }

  private var targets: [ComparisonColumn] {
    guard comparison.options.target != 0 else { return [] }
    var columns: [ComparisonColumn] = [
      .init("reached", "reached", Self.count, varies: false) { .init([Double($0.reached)]) },
      .init("rounds to it", "rounds_to_target", Self.tenths) { $0.roundsToTarget },
      .init("traffic to it", "bytes_to_target", Self.bytes) { $0.bytesToTarget },
    ]
    for index in columns.indices { columns[index].isAlwaysShown = true }
    return columns
  }

  private var costs: [ComparisonColumn] {
    [
      .init("up", "uplink_bytes", Self.bytes, varies: false) { .init([$0.uplinkBytes]) },
      .init("down", "downlink_bytes", Self.bytes, varies: false) { .init([$0.downlinkBytes]) },
      .init("time", "seconds", Table.Cell.seconds) { $0.seconds },
    ]
  }

  private var sizes: [ComparisonColumn] {
    func constant(_ value: Double?) -> ComparisonOutcome.Spread? { value.flatMap { .init([$0]) } }
    return [
      .init("shared parameters", "shared_parameters", Self.count, varies: false) {
        constant($0.sharedParameters)
      },
      .init("personal parameters", "personal_parameters", Self.count, varies: false) {
        constant($0.personalParameters)
      },
      .init("mean rank", "mean_rank", Self.tenths, varies: false) { $0.meanRank },
      .init("aggregation bias", "aggregation_bias", Self.fine) { $0.aggregationBias },
    ]
  }

  private static func count(_ value: Double) -> Table.Cell { .count(Int(value)) }
  private static func bytes(_ value: Double) -> Table.Cell { .bytes(Int(value)) }
  private static func tenths(_ value: Double) -> Table.Cell { .number(value, digits: 1) }
  private static func fine(_ value: Double) -> Table.Cell { .number(value, digits: 6) }

  private var metric: String { comparison.metric }

  private var title: String { metric.replacing("_", with: " ") }

  /// Shares as percentages, other metrics as numbers.
  private var isShare: Bool {
    results.allSatisfy { $0.curve.allSatisfy { (0...1).contains($0.value) } }
  }

  private func score(_ value: Double) -> Table.Cell {
    isShare ? .percent(value) : .number(value)
  }

  private var byRounds: LineChart {
    chart("by round", .init("round", .whole)) { Double($0.round + 1) }
  }

  private var byBytes: LineChart {
    chart("by traffic", .init("sent and received", .bytes)) { $0.bytes }
  }

  private func chart(
    _ what: String, _ axis: LineChart.Axis, x: (ComparisonOutcome.Point) -> Double
  ) -> LineChart {
    let target = comparison.options.target
    return LineChart(
      title: "\(comparison.name): \(title) \(what)", x: axis,
      y: .init(title, isShare ? .percent : .number),
      series: results.map { result in
        .init(result.entry, result.curve.map { .init(x($0), $0.value) })
      },
      references: target == 0 ? [] : [.init("target", y: target)])
  }
}

import ApusBase
import ApusExperiments
import ApusReports
import Foundation

/// A comparison as one table and two pictures.
struct ComparisonReport {
  private let comparison: Comparison
  private let results: [ComparisonOutcome]

  init(_ comparison: Comparison, _ results: [ComparisonOutcome]) {
    self.comparison = comparison
    self.results = results
  }

  /// Writes the table as Markdown, CSV and JSON and the curves as SVG into the comparison's folder.
  func write() throws(ApusError) {
    let folder = comparison.folder
    let terminal = Terminal.current(.output)  // Markdown, CSV and JSON ignore it
    let files = [
      ("comparison.md", "# \(comparison.name)\n\n\(table.rendered(as: .markdown, on: terminal))"),
      ("comparison.csv", table.rendered(as: .csv, on: terminal)),
      ("comparison.json", table.rendered(as: .json, on: terminal)),
      ("\(metric)-by-rounds.svg", byRounds.svg), ("\(metric)-by-megabytes.svg", byBytes.svg),
    ]
    for (name, text) in files {
      try OutputFile.write(Data(text.utf8), to: folder.appending(path: name).path)
    }
  }

  /// Both charts, for a terminal.
  func curves(on terminal: Terminal) -> String {
    guard results.contains(where: { $0.curve.count > 1 }) else { return "" }
    return byRounds.text(on: terminal, rows: 12) + "\n" + byBytes.text(on: terminal, rows: 10)
      + "\n"
  }

  /// One line for each entry; what no entry has is left out.
  var table: Table {
    let columns = columns.filter { column in
      results.contains { column.value($0) != nil } || column.isAlwaysShown
    }
    var table = Table(
      [.init("method", key: "entry"), .init("runs", .right)]
        + columns.map { .init($0.title, key: $0.key, .right) })
    for result in results {
      table.append(
        [.text(result.entry), .count(result.runs)]
          + columns.map { column in column.value(result).map(column.cell) ?? .missing })
    }
    return table
  }

  private struct Column {
    let title: String
    let key: String
    var isAlwaysShown = false
    let value: (ComparisonOutcome) -> Double?
    let cell: (Double) -> Table.Cell
  }

  private var columns: [Column] {
    var columns = spread(metric, metric, { $0.global }, score)
    columns += spread("personal", "personal_\(metric)", { $0.personal }, score)
    columns += spread("worst client", "worst_client_\(metric)", { $0.worstClient }, score)
    columns.append(
      Column(
        title: "spread", key: "client_deviation", value: { $0.clientSpread?.mean }, cell: score))
    columns.append(Self.traffic("up", "uplink_bytes") { $0.uplinkBytes })
    columns.append(Self.traffic("down", "downlink_bytes") { $0.downlinkBytes })
    if comparison.options.target != 0 { columns += Self.targetColumns }
    return columns + spread("time", "seconds", { $0.seconds }, { .seconds($0) })
  }

  private static var targetColumns: [Column] {
    [
      Column(
        title: "reached", key: "reached", isAlwaysShown: true, value: { Double($0.reached) },
        cell: { .count(Int($0)) }),
      Column(
        title: "rounds to it", key: "rounds_to_target", isAlwaysShown: true,
        value: { $0.roundsToTarget?.mean }, cell: { .number($0, digits: 1) }),
      traffic("traffic to it", "bytes_to_target") { $0.bytesToTarget?.mean },
    ]
  }

  private static func traffic(
    _ title: String, _ key: String, _ value: @escaping (ComparisonOutcome) -> Double?
  ) -> Column {
    Column(
      title: title, key: key, isAlwaysShown: true, value: value, cell: { .bytes(Int($0)) })
  }

  /// A mean, and beside it the standard deviation if there are several seeds.
  private func spread(
    _ title: String, _ key: String,
    _ spread: @escaping (ComparisonOutcome) -> ComparisonOutcome.Spread?,
    _ cell: @escaping (Double) -> Table.Cell
  ) -> [Column] {
    let mean = Column(title: title, key: key, value: { spread($0)?.mean }, cell: cell)
    guard results.contains(where: { $0.runs > 1 }) else { return [mean] }
    let deviation = Column(
      title: "±", key: "\(key)_deviation", value: { spread($0)?.deviation }, cell: cell)
    return [mean, deviation]
  }

  private var metric: String { comparison.options.metric }

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
      title: "\(comparison.name): \(metric) \(what)", x: axis,
      y: .init(metric, isShare ? .percent : .number),
      series: results.map { result in
        .init(result.entry, result.curve.map { .init(x($0), $0.value) })
      },
      references: target == 0 ? [] : [.init("target", y: target)])
  }
}

import ApusBase
import ApusCore
import ApusDatasets
import ApusExperiments
import ApusMethods
import ApusModels
import ApusReports
import ApusSimulation
import ApusTraining
import Foundation

/// What a finished run amounts to: a table, curves, and where the adapter is.
struct RunSummary {
  private let folder: URL
  let rounds: [RoundRecord]
  let metrics: [MetricRow]
  /// The share of the largest class; nil where rows have no classes.
  let majorityShare: Double?
  /// The metric that tells most about the task.
  let headline: String
  private let backboneBytes: Int
  private let title: String
  let hasGlobalModel: Bool
  let parameters: (shared: Int, personal: Int)

  init(_ run: ExperimentRun) throws {
    let archive = try run.archive()
    folder = run.folder
    rounds = try archive.rounds()
    metrics = try archive.metrics()
    let federated = run.assembly.data.federated
    let kind = run.assembly.experiment.task.kind
    headline = kind.headline
    majorityShare =
      kind == .sequenceClassification
      ? try HeterogeneityReport(federated.partition, of: federated.dataset).majorityShare : nil
    backboneBytes = run.assembly.backbone.elementCount * 4
    hasGlobalModel = run.assembly.experiment.method.hasGlobalModel
    parameters = run.assembly.parameterCounts
    title = "\(run.assembly.experiment.name), \(run.assembly.experiment.method.card.name)"
  }

  /// Numbers of the scope that the method has: the global model, or the clients' own.
  func curve(_ metric: String) -> [(round: Int, value: Double)] {
    let global = metrics.filter { $0.scope == "global/test" && $0.metric == metric }
    let personal = metrics.filter {
      $0.scope == "clients/test" && $0.metric == "\(metric).mean"
    }
    return (global.isEmpty ? personal : global).map { ($0.round, $0.value) }
  }

  /// Bytes that had crossed, both ways, when a round ended.
  private func traffic(after round: Int) -> Double {
    let bytes = rounds.prefix { $0.index <= round }
      .reduce(0) { $0 + $1.uplinkBytes + $1.downlinkBytes }
    return Double(bytes)
  }

  private var accuracyByRound: LineChart {
    LineChart(
      title: "\(title): \(headlineTitle) by round", x: .init("round", .whole),
      y: .init(headlineTitle, .percent),
      series: [
        .init(
          "test \(headlineTitle)", curve(headline).map { .init(Double($0.round + 1), $0.value) })
      ],
      references: references)
  }

  /// The headline as words.
  private var headlineTitle: String { headline.replacing("_", with: " ") }

  private var references: [LineChart.Reference] {
    majorityShare.map { [.init("majority class", y: $0)] } ?? []
  }

  private var accuracyByBytes: LineChart {
    LineChart(
      title: "\(title): \(headlineTitle) by traffic", x: .init("sent and received", .bytes),
      y: .init(headlineTitle, .percent),
      series: [
        .init(
          "test \(headlineTitle)", curve(headline).map { .init(traffic(after: $0.round), $0.value) }
        )
      ], references: references)
  }

  var adapter: String { folder.appending(path: "adapter").path }

  /// Writes both curves as SVG into the run's folder.
  func writeCurves() throws(ApusError) {
    for (name, chart) in [("rounds", accuracyByRound), ("megabytes", accuracyByBytes)] {
      let file = folder.appending(path: "accuracy-by-\(name).svg")
      try OutputFile.write(Data(chart.svg.utf8), to: file.path)
    }
  }

  /// The final table and the curves, for a terminal.
  func text(on terminal: Terminal) -> String {
    var text = ""
    if curve(headline).count > 1 {
      text += accuracyByRound.text(on: terminal, rows: 10) + "\n"
      if traffic(after: .max) > 0 { text += accuracyByBytes.text(on: terminal, rows: 8) + "\n" }
    }
    text += table.text(on: terminal)
    return text
      + (hasGlobalModel
        ? "Adapter: \(adapter)\n"
        : "Each client keeps a model of its own; there is none to export.\n")
  }

  private var table: Table {
    var table = Table([.init("result"), .init("value", .right), .init("")])
    for (name, value, note) in lines { table.append([.text(name), value, .text(note)]) }
    return table
  }

  private var lines: [(String, Table.Cell, String)] {
    let up = rounds.reduce(0) { $0 + $1.uplinkBytes }
    let down = rounds.reduce(0) { $0 + $1.downlinkBytes }
    let participations = rounds.reduce(0) { $0 + $1.clients.count }
    let full = 2 * participations * backboneBytes
    var lines: [(String, Table.Cell, String)] = []
    let accuracy = curve(headline)
    if let last = accuracy.last {
      let best = accuracy.map(\.value).max() ?? last.value
      lines.append(
        ("test \(headlineTitle)", .percent(last.value), "best \(Quantity.percent(best))"))
    }
    lines += personalLines
    if let majorityShare {
      lines.append(("majority class", .percent(majorityShare), "always guessing it"))
    }
    if let perplexity = curve("perplexity").last {
      lines.append(("test perplexity", .number(perplexity.value), "of a token"))
    }
    if let loss = curve("loss").last { lines.append(("test loss", .number(loss.value), "nats")) }
    if let bias = metrics.latest("server", "aggregation_bias") {
      lines.append(("aggregation bias", .number(bias), "‖Σ pBA − B̄Ā‖ / ‖Σ pBA‖, last round"))
    }
    let ranks = metrics.latest("server", prefix: "rank/").values.sorted()
    if let least = ranks.first, let most = ranks.last {
      lines.append(
        ("ranks of clients", .text("\(Int(least)) to \(Int(most))"), "as they last sent them"))
    }
    lines.append(("shared parameters", .count(parameters.shared), ""))
    if parameters.personal > 0 {
      let bytes = Quantity.bytes(4 * parameters.personal)
      lines.append(
        ("personal parameters", .count(parameters.personal), "\(bytes) a client, never sent"))
    }
    lines.append(("rounds", .count(rounds.count), "\(participations) clients in all"))
    lines.append(("sent by clients", .bytes(up), Quantity.exactBytes(up)))
    lines.append(("sent to clients", .bytes(down), Quantity.exactBytes(down)))
    if hasGlobalModel, up + down > 0 {
      let ratio = Quantity.number(Double(full) / Double(up + down), digits: 0)
      lines.append(("full fine-tuning would send", .bytes(full), "\(ratio)× as much"))
    }
    let seconds = rounds.reduce(0) { $0 + $1.wallSeconds }
    lines.append(("time", .seconds(seconds), "of all rounds, evaluation included"))
    let virtual = rounds.reduce(0) { $0 + $1.virtualSeconds }
    if virtual > 0 { lines.append(("virtual time", .seconds(virtual), "on the clients' devices")) }
    return lines
  }

  /// A number of the headline over the clients, each with the model that it uses, on its own rows.
  func spread(_ name: String) -> Double? { metrics.latest("clients/test", "\(headline).\(name)") }

  /// How the clients' own models do on their own rows, where they were measured.
  private var personalLines: [(String, Table.Cell, String)] {
    guard let mean = spread("mean"), let worst = spread("worst"),
      let deviation = spread("deviation")
    else { return [] }
    return [
      ("what clients use", .percent(mean), "mean over clients, on their own rows"),
      ("worst client", .percent(worst), "standard deviation \(Quantity.percent(deviation))"),
    ]
  }
}

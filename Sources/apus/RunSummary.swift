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
  private let rounds: [RoundRecord]
  private let metrics: [MetricRow]
  /// The share of the largest class; nil where rows have no classes.
  private let majorityShare: Double?
  private let headline: String
  private let backboneBytes: Int
  private let title: String
  private let hasGlobalModel: Bool
  private let parameters: (shared: Int, personal: Int)

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
  private func curve(_ metric: String) -> [(round: Int, value: Double)] {
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
      title: "\(title): accuracy by round", x: .init("round", .whole),
      y: .init("accuracy", .percent),
      series: [
        .init("test accuracy", curve(headline).map { .init(Double($0.round + 1), $0.value) })
      ],
      references: references)
  }

  private var references: [LineChart.Reference] {
    majorityShare.map { [.init("majority class", y: $0)] } ?? []
  }

  private var accuracyByBytes: LineChart {
    LineChart(
      title: "\(title): accuracy by traffic", x: .init("sent and received", .bytes),
      y: .init("accuracy", .percent),
      series: [
        .init(
          "test accuracy", curve(headline).map { .init(traffic(after: $0.round), $0.value) })
      ], references: references)
  }

  private var adapter: String { folder.appending(path: "adapter").path }

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
      lines.append(("test accuracy", .percent(last.value), "best \(Quantity.percent(best))"))
    }
    lines += personalLines
    if let majorityShare {
      lines.append(("majority class", .percent(majorityShare), "always guessing it"))
    }
    if let perplexity = curve("perplexity").last {
      lines.append(("test perplexity", .number(perplexity.value), "of a token"))
    }
    if let loss = curve("loss").last { lines.append(("test loss", .number(loss.value), "nats")) }
    if let bias = metrics.last(where: { $0.metric == "aggregation_bias" }) {
      lines.append(
        ("aggregation bias", .number(bias.value), "‖Σ pBA − B̄Ā‖ / ‖Σ pBA‖, last round"))
    }
    let own = "\(Quantity.count(parameters.personal)) of each client's own"
    lines.append(
      ("shared parameters", .count(parameters.shared), parameters.personal > 0 ? own : ""))
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

  /// How the clients' own models do on their own rows, where they were measured.
  private var personalLines: [(String, Table.Cell, String)] {
    func last(_ name: String) -> Double? {
      metrics.last { $0.scope == "clients/test" && $0.metric == "\(headline).\(name)" }?.value
    }
    guard let mean = last("mean"), let worst = last("worst"), let spread = last("deviation") else {
      return []
    }
    return [
      ("clients' own models", .percent(mean), "mean over clients, on their own rows"),
      ("worst client", .percent(worst), "standard deviation \(Quantity.percent(spread))"),
    ]
  }

  /// The result as one JSON object.
  var json: String {
    let object: [String: Any] = [
      "event": "result",
      "accuracy": curve(headline).last?.value ?? NSNull(),
      "perplexity": curve("perplexity").last?.value ?? NSNull(),
      "loss": curve("loss").last?.value ?? NSNull(),
      "majorityShare": majorityShare ?? NSNull(),
      "rounds": rounds.count,
      "uplinkBytes": rounds.reduce(0) { $0 + $1.uplinkBytes },
      "downlinkBytes": rounds.reduce(0) { $0 + $1.downlinkBytes },
      "seconds": rounds.reduce(0) { $0 + $1.wallSeconds },
      "adapter": hasGlobalModel ? adapter : NSNull(),
    ]
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
    let data = (try? JSONSerialization.data(withJSONObject: object, options: options)) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }
}

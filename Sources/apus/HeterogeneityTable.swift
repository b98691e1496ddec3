import ApusDatasets
import ApusExperiments
import ApusReports
import ApusSimulation
import ApusTraining

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
    append(lines, to: &table)
    return table
  }

  /// What the model and the devices show.
  static func measures(_ probe: HeterogeneityProbe) -> Table {
    var table = Table([.init("measure"), .init("value", .right), .init("meaning")])
    append(probe, to: &table)
    return table
  }

  static func append(_ probe: HeterogeneityProbe, to table: inout Table) {
    let gradients = probe.gradients
    var lines: [(String, Table.Cell, String)] = []
    if let features = probe.features {
      lines += [
        (
          "non-IID index (CNI)", .number(features.meanNonIIDIndex),
          "mean shift of a class from the same class elsewhere, in deviations"
        ),
        ("Fréchet distance", .number(features.meanFrechetDistance), "mean over pairs, of features"),
        ("MMD²", .number(features.meanDiscrepancy), "mean over pairs, of features; about 0 alike"),
        (
          "domain classifier", .percent(features.domainAccuracy),
          "rows whose client a linear classifier finds; chance \(Quantity.percent(features.domainChance))"
        ),
      ]
    }
    lines += [
      ("gradient variance", .number(gradients.variance), "mean ‖∇Fₖ − ∇F‖² at the start"),
      ("gradient B", .number(gradients.dissimilarity), "√Σpₖ‖∇Fₖ‖² / ‖∇F‖; 1 alike"),
    ]
    let spread = probe.system.spread
    lines.append(
      (
        "time of a round", spread.map { .number($0) } ?? .text("none"),
        spread == nil
          ? "the devices are ideal" : "90th over 10th percentile of the clients, predicted"
      ))
    append(lines, to: &table)
  }

  private static func append(
    _ lines: [(String, Table.Cell, String)], to table: inout Table
  ) {
    for (name, value, meaning) in lines { table.append([.text(name), value, .text(meaning)]) }
  }
}

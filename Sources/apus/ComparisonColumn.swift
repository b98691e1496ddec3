import ApusExperiments
import ApusReports

/// One number of every entry of a comparison.
struct ComparisonColumn {
  let title: String
  let key: String
  /// Whether its deviation over the seeds says something.
  let varies: Bool
  /// Whether it has a column even if no entry has the number.
  var isAlwaysShown = false
  private let cell: (Double) -> Table.Cell
  private let spread: (ComparisonOutcome) -> ComparisonOutcome.Spread?
  private let part: any KeyPath<ComparisonOutcome.Spread, Double> & Sendable

  init(
    _ title: String, _ key: String, _ cell: @escaping (Double) -> Table.Cell, varies: Bool = true,
    part: any KeyPath<ComparisonOutcome.Spread, Double> & Sendable = \.mean,
    _ spread: @escaping (ComparisonOutcome) -> ComparisonOutcome.Spread?
  ) {
    self.title = title
    self.key = key
    self.varies = varies
    self.cell = cell
    self.spread = spread
    self.part = part
  }

  /// The column of the standard deviation over the seeds.
  var deviation: ComparisonColumn {
    var column = ComparisonColumn(
      "±", "\(key)_deviation", cell, varies: false, part: \.deviation, spread)
    column.isAlwaysShown = isAlwaysShown
    return column
  }

  /// The number; nil if the entry has none.
  func number(_ result: ComparisonOutcome) -> Double? { spread(result)?[keyPath: part] }

  /// The number alone.
  func cell(of result: ComparisonOutcome) -> Table.Cell { number(result).map(cell) ?? .missing }

  /// The mean, and its deviation beside it where there are several seeds.
  func joined(of result: ComparisonOutcome, _ isRepeated: Bool) -> Table.Cell {
    guard let spread = spread(result) else { return .missing }
    guard isRepeated, varies else { return cell(spread.mean) }
    return .mean(cell(spread.mean), plusMinus: cell(spread.deviation))
  }
}

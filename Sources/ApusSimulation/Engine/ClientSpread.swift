/// How one number is spread over the clients.
public struct ClientSpread: Sendable, Equatable {
  /// Mean over the clients, all alike.
  public let mean: Double
  /// Standard deviation over the clients, of the population.
  public let deviation: Double
  /// Value of the client that is off worst.
  public let worst: Double
  /// Mean over the worst tenth of the clients, at least one.
  public let worstTenth: Double
  /// Jain's index of fairness (Σa)² / (K·Σa²): 1 if all are alike, 1/K if one has everything.
  public let jain: Double

  /// Measures a spread; nil without values.
  ///
  /// - Parameters:
  ///   - values: One for each client.
  ///   - lowerIsBetter: Whether the greatest value is the worst, as with losses.
  /// - Source: Jain, Chiu and Hawe, DEC-TR-301, 1984.
  public init?(_ values: [Double], lowerIsBetter: Bool) {
    guard !values.isEmpty else { return nil }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    self.mean = mean
    deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    let fromWorst = lowerIsBetter ? values.sorted(by: >) : values.sorted()
    worst = fromWorst[0]
    let tenth = fromWorst.prefix((values.count + 9) / 10)
    worstTenth = tenth.reduce(0, +) / Double(tenth.count)
    let squares = values.reduce(0) { $0 + $1 * $1 }
    jain = squares > 0 ? mean * mean * count / squares : 1
  }

  /// The spread's numbers under the name of the metric.
  func metrics(_ name: String) -> [(String, Double)] {
    [
      ("\(name).mean", mean), ("\(name).deviation", deviation), ("\(name).worst", worst),
      ("\(name).worst-tenth", worstTenth), ("\(name).jain", jain),
    ]
  }

  /// Whether a metric of this name is the better the lower it is.
  public static func lowerIsBetter(_ metric: String) -> Bool {
    ["loss", "perplexity", "error"].contains { metric.lowercased().contains($0) }
  }
}

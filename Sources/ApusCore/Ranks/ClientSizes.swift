/// Rank and number of parameters of each client of a round, to be reported.
public struct ClientSizes: Sendable {
  private let pairs: [FactorPair]
  private var sizes: [(client: ClientID, rank: Int, parameters: Int)] = []

  /// Of no client yet.
  public init(_ pairs: [FactorPair]) { self.pairs = pairs }

  /// Takes note of what a client sent: its highest rank, and all elements.
  public mutating func note(_ update: NamedTensors, from client: ClientID) {
    let rank = pairs.compactMap { update.rank(of: $0) }.max() ?? 0
    sizes.append((client, rank, update.elementCount))
  }

  /// `rank/<client>`, `parameters/<client>`, and the mean of both.
  public var metrics: Metrics {
    guard !sizes.isEmpty else { return [:] }
    var metrics: Metrics = [:]
    for (client, rank, parameters) in sizes {
      metrics["rank/\(client)"] = Double(rank)
      metrics["parameters/\(client)"] = Double(parameters)
    }
    let count = Double(sizes.count)
    metrics["mean_rank"] = sizes.reduce(0) { $0 + Double($1.rank) } / count
    metrics["mean_parameters"] = sizes.reduce(0) { $0 + Double($1.parameters) } / count
    return metrics
  }
}

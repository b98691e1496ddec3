public import ApusBase
import Foundation

/// How different the clients of a partition are, in labels and in size.
///
/// Compared is each client's mix of classes qₖ with the mix q of all clients together. Means are
/// over the clients that hold data, each with the same weight. Logarithms are natural.
public struct HeterogeneityReport: Hashable, Codable, Sendable {
  /// Clients beyond which ``meanJensenShannon`` takes an evenly spaced selection of this many,
  /// since the pairs grow with the square.
  static let mostPairedClients = 1_000

  /// The measures of one client.
  public struct Client: Hashable, Codable, Sendable {
    /// Name in the partition.
    public let name: String
    /// Number of examples nₖ.
    public let exampleCount: Int
    /// Total variation ½ Σ |qₖ(c) − q(c)|, in 0…1; "EMD" in some papers is twice this.
    public let totalVariation: Double
    /// Kullback–Leibler divergence KL(qₖ‖q) ≥ 0.
    public let divergence: Double
    /// Effective number of classes exp(H(qₖ)); 0 for a client without examples.
    public let effectiveClasses: Double
  }

  /// Names of the classes.
  public let labelNames: [String]
  /// Number of examples of each class for each client [K][C].
  public let labelCounts: [[Int]]
  /// The measures of each client.
  public let clients: [Client]
  /// Mean total variation; 0 if all clients have the same mix.
  public let meanTotalVariation: Double
  /// Mean Kullback–Leibler divergence to the mix of all.
  public let meanDivergence: Double
  /// Mean Jensen–Shannon divergence over pairs of clients, in 0…log 2.
  public let meanJensenShannon: Double
  /// Mean effective number of classes of a client.
  public let meanEffectiveClasses: Double
  /// Effective number of classes of all clients together.
  public let effectiveClasses: Double
  /// Share of the most frequent class in all clients together: the accuracy of always guessing it.
  public let majorityShare: Double
  /// Gini coefficient of the sizes, 0 if all are equal, and below 1.
  public let sizeGini: Double
  /// Standard deviation of the sizes over their mean.
  public let sizeVariation: Double

  /// Measures a partition.
  ///
  /// - Throws: ``ApusError`` `.invalidData` if the examples have no labels, `.invalidConfig` if
  ///   the partition is one of another data set.
  public init(_ partition: Partition, of dataset: Dataset) throws(ApusError) {
    let labels = try dataset.labels()
    guard partition.clients.allSatisfy({ $0.positions.allSatisfy(labels.indices.contains) }) else {
      throw ApusError(
        .invalidConfig, at: dataset.name, "the partition refers to examples beyond the last one",
        remedy: "Measure it against the data set it was made for")
    }
    self.init(
      names: partition.clients.map(\.name),
      counts: partition.labelCounts(labels, classes: dataset.labelNames.count),
      labelNames: dataset.labelNames)
  }

  /// Measures label counts [K][C].
  init(names: [String], counts: [[Int]], labelNames: [String]) {
    let all = LabelDistribution.mixOfAll(counts)
    let mixes = counts.map(LabelDistribution.shares)
    let sizes = counts.map { $0.reduce(0, +) }
    clients = names.indices.map { client in
      let mix = mixes[client]
      return Client(
        name: names[client], exampleCount: sizes[client],
        totalVariation: mix.map { LabelDistribution.totalVariation($0, all) } ?? 0,
        divergence: mix.map { LabelDistribution.divergence($0, all) } ?? 0,
        effectiveClasses: mix.map { exp(LabelDistribution.entropy($0)) } ?? 0)
    }
    let measured = clients.filter { $0.exampleCount > 0 }
    self.labelNames = labelNames
    labelCounts = counts
    meanTotalVariation = Self.mean(measured.map(\.totalVariation))
    meanDivergence = Self.mean(measured.map(\.divergence))
    meanJensenShannon = Self.meanOverPairs(mixes.compactMap(\.self))
    meanEffectiveClasses = Self.mean(measured.map(\.effectiveClasses))
    effectiveClasses = measured.isEmpty ? 0 : exp(LabelDistribution.entropy(all))
    majorityShare = all.max() ?? 0
    sizeGini = Self.gini(sizes)
    sizeVariation = Self.coefficientOfVariation(sizes)
  }

  private static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
  }

  private static func meanOverPairs(_ mixes: [[Double]]) -> Double {
    let count = min(mixes.count, mostPairedClients)
    guard count >= 2 else { return 0 }
    let chosen = (0..<count).map { mixes[$0 * mixes.count / count] }
    var sum = 0.0
    for first in 0..<count {
      for second in (first + 1)..<count {
        sum += LabelDistribution.jensenShannon(chosen[first], chosen[second])
      }
    }
    return sum / Double(count * (count - 1) / 2)
  }

  /// Gini coefficient Σ (2i − K − 1) n₍ᵢ₎ / (K Σ n), sizes sorted, i from 1.
  static func gini(_ sizes: [Int]) -> Double {
    let total = sizes.reduce(0, +)
    guard total > 0 else { return 0 }
    let weighted = sizes.sorted().enumerated().reduce(0.0) { sum, item in
      sum + Double(2 * (item.offset + 1) - sizes.count - 1) * Double(item.element)
    }
    return weighted / (Double(sizes.count) * Double(total))
  }

  /// Population standard deviation over mean.
  static func coefficientOfVariation(_ sizes: [Int]) -> Double {
    let mean = mean(sizes.map(Double.init))
    guard mean > 0 else { return 0 }
    let variance = Self.mean(sizes.map { (Double($0) - mean) * (Double($0) - mean) })
    return variance.squareRoot() / mean
  }
}

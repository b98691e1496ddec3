internal import ApusTorch

/// Measures how far averaging A and B separately is from averaging their products.
///
/// The ideal is Σ pₖBₖAₖ, the model in use B̄Ā; R is their difference. All factored: nothing of
/// size d_out × d_in is formed unless a cohort's ranks add up to more than that.
///
/// - Source: card FedIT, "Aggregation bias"; Zhang et al., arXiv 2305.05644, setting.
public struct AggregationBias: Sendable {
  private let pairs: [FactorPair]

  /// Measures over these sites.
  public init(_ pairs: [FactorPair]) { self.pairs = pairs }

  /// The sums of one round, empty.
  public func sums() -> Sums {
    Sums(pairs: pairs, products: pairs.map { _ in FactoredSum() }, totalWeight: 0)
  }

  /// Σ wₖ·s·BₖAₖ of each site.
  public struct Sums: Sendable {
    fileprivate let pairs: [FactorPair]
    fileprivate var products: [FactoredSum]
    fileprivate var totalWeight: Double

    /// Adds the products of one update, which was found valid.
    public mutating func add(_ update: NamedTensors, weight: Double) {
      for (index, pair) in pairs.enumerated() {
        guard let a = update[pair.a], let b = update[pair.b] else { continue }
        products[index].add(b: b, a: a, weight: weight * pair.scaling)
      }
      totalWeight += weight
    }

    /// ‖Σ pₖBₖAₖ − B̄Ā‖ / ‖Σ pₖBₖAₖ‖ over all sites; nil without sites, or if the ideal is zero.
    public func relativeBias(of mean: NamedTensors) -> Double? {
      guard totalWeight > 0 else { return nil }
      var (gap, whole) = (0.0, 0.0)
      for (pair, product) in zip(pairs, products) {
        guard let a = mean[pair.a], let b = mean[pair.b], !product.isEmpty else { continue }
        let ideal = product.scaled(1 / totalWeight)
        var difference = ideal
        difference.add(b: b, a: a, weight: -pair.scaling)
        gap += difference.norm * difference.norm
        whole += ideal.norm * ideal.norm
      }
      return whole > 0 ? (gap / whole).squareRoot() : nil
    }
  }
}

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

  /// Measures over all pairs of a run, or, where a method makes no report, over nothing.
  ///
  /// A report takes every update by itself, also of a method whose server needs their sum alone.
  public init(_ setting: ServerSetting, isReported: Bool) {
    self.init(isReported ? setting.factorPairs : [])
  }

  /// The sums of one round, empty.
  public func sums() -> Sums {
    Sums(
      pairs: pairs, products: pairs.map { _ in FactoredSum() },
      totalWeights: pairs.map { _ in 0 })
  }

  /// Σ wₖ·s·BₖAₖ of each site.
  public struct Sums: Sendable {
    fileprivate let pairs: [FactorPair]
    fileprivate var products: [FactoredSum]
    fileprivate var totalWeights: [Double]

    /// The sums of the next round.
    public var emptied: Sums { AggregationBias(pairs).sums() }

    /// Adds the products of one update, which was found valid, at the sites that it has.
    ///
    /// - Parameters:
    ///   - update: Factors, of whatever rank.
    ///   - weight: wₖ.
    ///   - scalings: s of the client by site, where it is another than that of the configuration.
    public mutating func add(
      _ update: NamedTensors, weight: Double, scalings: [String: Double] = [:]
    ) {
      for (index, pair) in pairs.enumerated() {
        guard let a = update[pair.a], let b = update[pair.b] else { continue }
        products[index].add(b: b, a: a, weight: weight * (scalings[pair.site] ?? pair.scaling))
        totalWeights[index] += weight
      }
    }

    /// Σ pₖ·s·BₖAₖ of each site, with pₖ = wₖ / Σ wⱼ over those that have it; none without weight.
    public var ideals: [(pair: FactorPair, sum: FactoredSum)] {
      pairs.indices.filter { totalWeights[$0] > 0 }
        .map { (pairs[$0], products[$0].scaled(1 / totalWeights[$0])) }
    }

    /// How far the product of these factors is from the ideal, at each site and over all.
    ///
    /// - Parameters:
    ///   - mean: The factors.
    ///   - known: What was found for other factors of the same sums, whose norms need no second look.
    /// - Returns: ‖R‖ and the norm of the ideal, site by site.
    public func gaps(of mean: NamedTensors, beside known: BiasNorms? = nil) -> BiasNorms {
      var norms = BiasNorms()
      for (pair, ideal) in ideals {
        guard let a = mean[pair.a], let b = mean[pair.b] else { continue }
        let all = known?.ideal(at: pair.site) ?? ideal.norm
        let product = FactoredSum(b: b, a: a, weight: pair.scaling)
        // ‖X − Y‖² = ‖X‖² − 2⟨X, Y⟩ + ‖Y‖², of which only ‖X‖ has the cohort's inner dimension twice.
        let square = all * all - 2 * ideal.inner(with: product) + product.inner(with: product)
        norms.add(pair.site, missed: max(0, square).squareRoot(), all: all)
      }
      return norms
    }

    /// ‖Σ pₖBₖAₖ − B̄Ā‖ / ‖Σ pₖBₖAₖ‖ over all sites; nil without sites, or if the ideal is zero.
    public func relativeBias(of mean: NamedTensors) -> Double? { gaps(of: mean).relative }
  }
}

/// What aggregation missed of Σ pₖ·s·BₖAₖ, as norms by site.
public struct BiasNorms: Sendable {
  private var sites: [(site: String, missed: Double, all: Double)] = []

  /// Of no site yet.
  public init() {}

  /// Counts one site.
  ///
  /// - Parameters:
  ///   - site: Module path of the projection.
  ///   - missed: ‖R‖, scaling included.
  ///   - all: ‖Σ pₖ·s·BₖAₖ‖.
  public mutating func add(_ site: String, missed: Double, all: Double) {
    sites.append((site, missed, all))
  }

  /// ‖Σ pₖ·s·BₖAₖ‖ of one site, if it was counted.
  func ideal(at site: String) -> Double? { sites.first { $0.site == site }?.all }

  /// ‖R‖ over all sites.
  public var absolute: Double {
    sites.reduce(0) { $0 + $1.missed * $1.missed }.squareRoot()
  }

  /// ‖R‖ / ‖Σ pₖ·s·BₖAₖ‖ over all sites; nil where there is nothing to compare with.
  public var relative: Double? {
    let whole = sites.reduce(0) { $0 + $1.all * $1.all }.squareRoot()
    return whole > 0 ? absolute / whole : nil
  }

  /// `aggregation_bias`, relative, and `aggregation_bias_norm`, each over all sites, and of every
  /// site under `aggregation_bias/<site>` and `aggregation_bias_norm/<site>`.
  public var metrics: Metrics {
    guard let relative else { return [:] }
    var metrics = ["aggregation_bias": relative, "aggregation_bias_norm": absolute]
    for (site, missed, all) in sites where all > 0 {
      metrics["aggregation_bias/\(site)"] = missed / all
      metrics["aggregation_bias_norm/\(site)"] = missed
    }
    return metrics
  }
}

public import ApusBase
internal import ApusTorch

/// Means of LoRA factors with weights of their own at each site, and of everything else.
///
/// A client may count differently at each site, or not have a site at all; a site that nobody had
/// keeps its former values, bit for bit.
public struct SiteMeans: Sendable {
  private let former: NamedTensors
  private let pairs: [FactorPair]
  private var sites: [WeightedMean]
  private var rest: WeightedMean

  /// Means of updates that have these names and shapes.
  public init(like former: NamedTensors, _ pairs: [FactorPair]) {
    self.former = former
    self.pairs = pairs
    sites = pairs.map { WeightedMean(like: former.factors(of: [$0])) }
    rest = WeightedMean(like: former.withoutFactors(of: pairs))
  }

  /// Number of updates.
  public var count: Int { rest.count }

  /// Adds one update.
  ///
  /// - Parameters:
  ///   - update: Factors of the sites that have a weight, and everything else.
  ///   - weights: w ≥ 0 of each site; nil where the client has none.
  ///   - otherWeight: w ≥ 0 of what is no factor.
  ///   - place: Round and client, for errors.
  /// - Throws: ``ApusError`` as ``WeightedMean/absorb(_:weight:at:)``, before anything is added.
  public mutating func absorb(
    _ update: NamedTensors, weights: [Double?], otherWeight: Double, at place: String
  ) throws(ApusError) {
    let owned = zip(pairs, weights).filter { $1 != nil }.map(\.0)
    let expected = former.withoutFactors(of: pairs).merging(former.factors(of: owned))
    try update.requireShapes(of: expected, at: place)
    if let name = update.mapValues({ $0.to(.float32) }).firstNonFinite {
      throw ApusError(
        .nonFinite, at: "\(place), \(name)", "the update holds NaN or infinity",
        remedy: "Lower the learning rate or set clip-norm")
    }
    try rest.absorb(update.withoutFactors(of: pairs), weight: otherWeight, at: place)
    for (index, weight) in zip(sites.indices, weights) {
      guard let weight else { continue }
      try sites[index].absorb(update.factors(of: [pairs[index]]), weight: weight, at: place)
    }
  }

  /// The means, after which new ones start; nil if no update has weight.
  public mutating func finish() -> NamedTensors? {
    defer { self = SiteMeans(like: former, pairs) }
    guard count > 0 else { return nil }
    var result = former.merging(rest.finish() ?? NamedTensors())
    for index in sites.indices { result = result.merging(sites[index].finish() ?? NamedTensors()) }
    return result
  }
}

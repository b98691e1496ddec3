/// The most important ranks of a whole model: one choice over all sites, not one for each site.
///
/// Equal scores are taken in the order of the sites, then of the ranks, so the choice is the same
/// everywhere, and a smaller one is part of every larger one.
public struct RankSelection: Sendable, Equatable {
  /// The chosen ranks of each site, in rising order.
  public let kept: [[Int]]

  /// Chooses ranks by their scores.
  ///
  /// - Parameters:
  ///   - scores: One for each rank of each site; a NaN counts as the smallest.
  ///   - count: Ranks to choose over all sites; all of them if there are no more.
  public init(scores: [[Double]], count: Int) {
    let all = scores.enumerated().flatMap { site, values in
      values.enumerated().map { (site: site, rank: $0, score: $1.isNaN ? -.infinity : $1) }
    }
    let order = all.sorted {
      $0.score != $1.score ? $0.score > $1.score : ($0.site, $0.rank) < ($1.site, $1.rank)
    }
    var kept = [[Int]](repeating: [], count: scores.count)
    for place in order.prefix(max(0, count)) { kept[place.site].append(place.rank) }
    self.kept = kept.map { $0.sorted() }
  }

  /// A choice that was made elsewhere: numbers of ranks, counted through all sites; nil if they
  /// are none.
  ///
  /// - Parameters:
  ///   - flat: In rising order, without repetition.
  ///   - ranks: Number of ranks of each site.
  public init?(flat: [Int], ranks: [Int]) {
    guard zip(flat, flat.dropFirst()).allSatisfy({ $0 < $1 }), flat.first ?? 0 >= 0 else {
      return nil
    }
    var (kept, first, place) = ([[Int]](), 0, 0)
    for count in ranks {
      var own: [Int] = []
      while place < flat.count, flat[place] < first + count {
        own.append(flat[place] - first)
        place += 1
      }
      kept.append(own)
      first += count
    }
    guard place == flat.count else { return nil }
    self.kept = kept
  }

  /// Number of ranks that were chosen.
  public var count: Int { kept.reduce(0) { $0 + $1.count } }

  /// The choice as numbers of ranks, counted through all sites.
  public func flat(ranks: [Int]) -> [Int] {
    var first = 0
    return zip(kept, ranks).flatMap { own, count in
      defer { first += count }
      return own.map { first + $0 }
    }
  }
}

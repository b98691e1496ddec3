public import ApusBase
internal import ApusTorch

/// LoRA factors of clients that have ranks of their own.
///
/// Ranks are nested: what a client of rank 4 has is the leading slice of what one of rank 8 has.
extension NamedTensors {
  /// The rank of the factors at a site; nil if they are missing or do not fit together.
  public func rank(of pair: FactorPair) -> Int? {
    guard let a = self[pair.a], let b = self[pair.b], a.rank == 2, b.rank == 2,
      a.size(0) == b.size(1), a.size(0) >= 1
    else { return nil }
    return a.size(0)
  }

  /// Only A and B of the sites.
  public func factors(of pairs: [FactorPair]) -> NamedTensors {
    let names = Set(pairs.flatMap { [$0.a, $0.b] })
    return filtered { names.contains($0) }
  }

  /// Everything but A and B of the sites, such as the head.
  public func withoutFactors(of pairs: [FactorPair]) -> NamedTensors {
    let names = Set(pairs.flatMap { [$0.a, $0.b] })
    return filtered { !names.contains($0) }
  }

  /// s of each site for clients with one alpha and ranks of their own: s = alpha / r.
  ///
  /// - Parameters:
  ///   - pairs: The sites, with the scaling that goes with the configured rank.
  ///   - configured: Factors of the configured rank.
  /// - Returns: Scalings by module path; none for sites without factors.
  public func scalings(
    of pairs: [FactorPair], configured: NamedTensors
  ) -> [String: Double] {
    var scalings: [String: Double] = [:]
    for pair in pairs {
      guard let own = rank(of: pair), let usual = configured.rank(of: pair) else { continue }
      scalings[pair.site] = pair.scaling * Double(usual) / Double(own)
    }
    return scalings
  }

  /// Factors that give with the configured scaling what they give now with s = alpha / r.
  public func foldingScalings(
    of pairs: [FactorPair], configured: NamedTensors
  ) -> NamedTensors {
    let scalings = scalings(of: pairs, configured: configured)
    var result = self
    for pair in pairs {
      guard let b = self[pair.b], let scaling = scalings[pair.site] else { continue }
      result[pair.b] = b * (scaling / pair.scaling)
    }
    return result
  }

  /// Keeps the leading rows of each A and columns of each B: what goes down to a client.
  ///
  /// - Parameters:
  ///   - rank: r; factors that have no more stay as they are.
  ///   - pairs: The sites; other tensors stay as they are.
  /// - Returns: Factors of rank r at most, with memory of their own.
  public func truncated(toRank rank: Int, _ pairs: [FactorPair]) -> NamedTensors {
    var result = self
    for pair in pairs {
      guard let own = self.rank(of: pair), own > rank else { continue }
      result[pair.a] = self[pair.a]?.sliced(0, 0..<rank).cloned()
      result[pair.b] = self[pair.b]?.sliced(1, 0..<rank).contiguous()
    }
    return result
  }

  /// Adds rows of zeros to each A and columns of zeros to each B: what comes up from a client.
  ///
  /// The products stay, since [B, 0]·[A; 0] = B·A.
  ///
  /// - Parameters:
  ///   - expected: Factors of the ranks to reach; those that are higher stay as they are.
  ///   - pairs: The sites; other tensors stay as they are.
  /// - Returns: Factors of the expected ranks.
  public func padded(like expected: NamedTensors, _ pairs: [FactorPair]) -> NamedTensors {
    var result = self
    for pair in pairs {
      guard let own = rank(of: pair), let target = expected.rank(of: pair), own < target else {
        continue
      }
      result[pair.a] = self[pair.a]?.padded([0, 0, 0, target - own])
      result[pair.b] = self[pair.b]?.padded([0, target - own])
    }
    return result
  }

  /// Checks an update whose factors may have any rank of one at each site.
  ///
  /// - Parameters:
  ///   - expected: Names and shapes of everything, whatever the ranks are there.
  ///   - pairs: The sites.
  ///   - highest: The highest rank that is allowed.
  ///   - place: Round and client, for the error.
  /// - Throws: ``ApusError`` `.shapeMismatch` for factors of unequal or too high ranks and for
  ///   other names or shapes, `.nonFinite` for NaN or infinity.
  public func requireFactors(
    of expected: NamedTensors, _ pairs: [FactorPair], upToRank highest: Int = .max,
    at place: String
  ) throws(ApusError) {
    var shapes = expected
    for pair in pairs where expected[pair.a] != nil {
      guard let a = expected[pair.a], let b = expected[pair.b], let rank = rank(of: pair),
        rank <= highest
      else {
        throw ApusError(
          .shapeMismatch, at: "\(place), \(pair.a)",
          "the factors are missing, empty, of unequal ranks or of one above \(highest)",
          remedy: "Send A and B of every site in the client's rank")
      }
      if a.size(0) != rank { shapes[pair.a] = Tensor.zeros([rank, a.size(1)]) }
      if b.size(1) != rank { shapes[pair.b] = Tensor.zeros([b.size(0), rank]) }
    }
    try requireShapes(of: shapes, at: place)
    if let name = mapValues({ $0.to(.float32) }).firstNonFinite {
      throw ApusError(
        .nonFinite, at: "\(place), \(name)", "the update holds NaN or infinity",
        remedy: "Lower the learning rate or set clip-norm")
    }
  }
}

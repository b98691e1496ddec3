public import ApusBase
internal import ApusTorch

/// Which entries of the adapted weights a method tunes: as many as a density says, from a seed.
public struct SparsePlan: Sendable, Equatable {
  /// δ, the share of entries; nil for as many as LoRA has elements at the site.
  public var density: Double?
  /// Of the mask, which every side draws for itself.
  public var seed: UInt64

  /// Describes a plan.
  public init(density: Double?, seed: UInt64) {
    self.density = density
    self.seed = seed
  }

  /// The mask of one site.
  ///
  /// - Parameters:
  ///   - site: Module path of the projection.
  ///   - shape: Of its weight, [d_out, d_in].
  ///   - rank: r of its adapter.
  /// - Returns: The same on every side.
  public func mask(_ site: String, shape: [Int], rank: Int) -> WeightMask {
    let (rows, columns) = (Double(shape[0]), Double(shape[1]))
    return WeightMask(
      shape, density: min(1, density ?? Double(rank) * (rows + columns) / (rows * columns)),
      random: RandomStream(seed: seed).substream("mask").substream(site))
  }

  /// What tuned entries add to the frozen weights; sites where nothing moved have no part in it.
  ///
  /// - Parameters:
  ///   - entries: The values now, by their names.
  ///   - start: The values of the frozen weights, and the factors, for the shapes.
  ///   - pairs: The sites.
  /// - Returns: W − W0 of each site, as a matrix.
  /// - Throws: ``ApusError`` `.shapeMismatch` if the entries are another plan's.
  public func delta(
    of entries: NamedTensors, from start: NamedTensors, _ pairs: [FactorPair]
  ) throws(ApusError) -> BaseDelta {
    var change = BaseChange()
    for pair in pairs {
      let name = Self.name(besideA: pair.a)
      guard let now = entries[name], let former = start[name], let a = start[pair.a],
        let b = start[pair.b], !now.isIdentical(to: former)
      else { continue }
      let mask = mask(pair.site, shape: [b.size(0), a.size(1)], rank: a.size(0))
      try NamedTensors([name: now]).requireShapes(
        of: NamedTensors([name: former]), at: "tuned entries")
      change.add(pair.site, matrix: mask.matrix(of: now - former))
    }
    var delta = BaseDelta()
    try delta.add(change)
    return delta
  }

  private static let part = "sparse_entries"

  /// Name of the tuned entries at the site whose factor A has this name.
  public static func name(besideA name: String) -> String {
    name.replacing("lora_A", with: part)
  }

  /// Whether the tensor of this name holds tuned entries.
  public static func contains(_ name: String) -> Bool { name.contains(".\(part).") }
}

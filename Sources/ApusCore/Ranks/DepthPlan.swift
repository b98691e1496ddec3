/// How many of the last blocks each device trains, so that all devices need about the same time.
///
/// A device of depth k needs T(k) = f + k·μ + β·Σ r over the ranks of its k last blocks. The fastest
/// keeps all L blocks, the slowest gives up G of them, the others in proportion to their slowness;
/// G is the one that leaves devices the least time to wait for one another.
///
/// - Source: Liu et al., arXiv 2412.20004; time model and search as in the project's card.
public struct DepthPlan: Sendable {
  /// What a device was measured to need.
  public struct Capacity: Sendable, Equatable {
    /// f, seconds of all forward passes of a round.
    public var forwardSeconds: Double
    /// μ, seconds of a round's backward passes through one block with LoRA.
    public var layerSeconds: Double
    /// β, seconds to send one unit of rank of one block.
    public var rankSeconds: Double

    /// Collects what was measured.
    public init(forwardSeconds: Double, layerSeconds: Double, rankSeconds: Double) {
      self.forwardSeconds = forwardSeconds
      self.layerSeconds = layerSeconds
      self.rankSeconds = rankSeconds
    }

    /// ρ of the way from a new measurement back to what was known.
    public func blended(with measured: Capacity, keeping share: Double) -> Capacity {
      func blend(_ part: KeyPath<Capacity, Double>) -> Double {
        share * self[keyPath: part] + (1 - share) * measured[keyPath: part]
      }
      return Capacity(
        forwardSeconds: blend(\.forwardSeconds), layerSeconds: blend(\.layerSeconds),
        rankSeconds: blend(\.rankSeconds))
    }
  }

  /// How G is found.
  public enum Search: String, Codable, Sendable, CaseIterable {
    /// From 0 upwards while waiting shrinks.
    case greedy
    /// The best of all.
    case full
  }

  /// Number of blocks of each device, in the order of the devices.
  public let depths: [Int]
  /// G, the blocks that the slowest device gives up.
  public let gap: Int
  /// W, the mean time that devices wait for the slowest.
  public let waiting: Double

  /// Chooses the depths.
  ///
  /// - Parameters:
  ///   - devices: What each was measured to need.
  ///   - ranks: r of each block, from the input on.
  ///   - lowest: The depth below which no device goes, ≥ 1.
  ///   - search: How G is found.
  ///   - tolerance: ε, a waiting time in seconds that is good enough.
  public init(
    _ devices: [Capacity], ranks: [Int], lowest: Int = 1, search: Search = .greedy,
    tolerance: Double = 0
  ) {
    let count = ranks.count
    func seconds(_ device: Capacity, _ depth: Int) -> Double {
      let sent = ranks.suffix(depth).reduce(0, +)
      return device.forwardSeconds + Double(depth) * device.layerSeconds
        + Double(sent) * device.rankSeconds
    }
    let whole = devices.map { seconds($0, count) }
    let (fastest, slowest) = (whole.min() ?? 0, whole.max() ?? 0)
    let slowness = whole.map { slowest > fastest ? ($0 - fastest) / (slowest - fastest) : 0 }  // κ
    func plan(_ gap: Int) -> (depths: [Int], waiting: Double) {
      let depths = slowness.map { share in
        min(count, max(lowest, count - Int((Double(gap) * share + 0.5).rounded(.down))))
      }
      let times = zip(devices, depths).map { seconds($0, $1) }
      let last = times.max() ?? 0
      return (depths, times.reduce(0) { $0 + last - $1 } / Double(max(1, times.count)))
    }
    var best = (gap: 0, plan: plan(0))
    let highest = max(0, count - lowest)
    var next = 1
    while best.plan.waiting > tolerance, next <= highest {
      let candidate = plan(next)
      if candidate.waiting < best.plan.waiting {
        best = (next, candidate)
      } else if search == .greedy {
        break
      }
      next += 1
    }
    (gap, depths, waiting) = (best.gap, best.plan.depths, best.plan.waiting)
  }

  /// Ranks that grow by `step` from block to block within a budget: r = r₀ + step·l.
  ///
  /// - Parameters:
  ///   - budget: Ψ, the sum of all ranks; exceeded only where even r₀ = 1 does not fit.
  ///   - step: λ ≥ 0.
  ///   - count: L.
  /// - Returns: r of each block, from the input on.
  public static func ranks(budget: Int, step: Int, count: Int) -> [Int] {
    guard count > 0 else { return [] }
    let rest = budget - step * count * (count - 1) / 2
    let first = max(1, rest >= 0 ? rest / count : 0)
    return (0..<count).map { first + step * $0 }
  }
}

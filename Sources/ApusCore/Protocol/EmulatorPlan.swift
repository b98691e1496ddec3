public import ApusBase

/// How a model of N blocks is cut in two: its last blocks, which are adapted, and an emulator of
/// those before them, from which blocks are left out.
///
/// Of the n lower blocks the emulator has n′ = round(n(1 − β)), evenly spaced, the first and the
/// last always among them: those at ⌊i·(n − 1)/(n′ − 1)⌋ for i < n′.
///
/// - Source: Xiao et al., Offsite-Tuning, arXiv 2302.04870, §3.3.
public struct EmulatorPlan: Sendable, Equatable {
  /// Share β of the lower blocks that the emulator leaves out, 0 ≤ β < 1.
  public var dropShare: Double
  /// Number of last blocks that are adapted, ≥ 1.
  public var adaptedBlocks: Int

  /// Name of the set of adapters in the emulator.
  public static let adapterName = "emulator"

  /// A cut.
  public init(dropShare: Double, adaptedBlocks: Int) {
    self.dropShare = dropShare
    self.adaptedBlocks = adaptedBlocks
  }

  /// The blocks that are adapted, of a model with so many.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if no block is left below them.
  public func adapted(of count: Int) throws(ApusError) -> Range<Int> {
    guard (1..<count).contains(adaptedBlocks) else {
      throw ApusError(
        .invalidConfig, at: "method.adapted-blocks",
        "\(adaptedBlocks) of \(count) blocks leave none for an emulator, or none to adapt",
        remedy: "Give a number from 1 to \(max(1, count - 1))")
    }
    return (count - adaptedBlocks)..<count
  }

  /// The lower blocks that the emulator has, ascending.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` as ``adapted(of:)``.
  public func kept(of count: Int) throws(ApusError) -> [Int] {
    let lower = try adapted(of: count).lowerBound
    let kept = max(1, Int((Double(lower) * (1 - dropShare)).rounded(.toNearestOrEven)))
    guard kept > 1 else { return [0] }
    return (0..<kept).map { $0 * (lower - 1) / (kept - 1) }
  }

  /// How each block runs where the emulator takes the place of the lower ones.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` as ``adapted(of:)``.
  public func modes(of count: Int) throws(ApusError) -> [BlockMode] {
    let (upper, kept) = (try adapted(of: count), Set(try kept(of: count)))
    return (0..<count).map { block in
      if upper.contains(block) { return .asGiven }
      return kept.contains(block) ? .evaluated : .skipped
    }
  }
}

/// How one block of a model runs.
public enum BlockMode: Sendable, Equatable {
  /// As the pass says.
  case asGiven
  /// As in evaluation, without dropout, also while the rest trains.
  case evaluated
  /// Not at all.
  case skipped
}

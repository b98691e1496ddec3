public import ApusBase

/// An order in which examples are visited, cut into batches of positions.
///
/// Positions count from 0 in whatever list the plan was made for.
public struct BatchPlan: Hashable, Sendable {
  /// The batches; together they hold every position once.
  public let batches: [[Int]]

  /// Number of examples of all batches.
  public var exampleCount: Int { batches.reduce(0) { $0 + $1.count } }

  /// One pass over the data in random order; the last batch may be smaller.
  ///
  /// - Parameters:
  ///   - count: Number of examples, ≥ 0.
  ///   - batchSize: Examples in a batch, ≥ 1.
  ///   - random: Source of the order; take another substream for each pass.
  /// - Returns: ⌈count / batchSize⌉ batches.
  /// - Throws: ``ApusError`` `.invalidConfig` if `batchSize` is below 1.
  public static func shuffled(
    count: Int, batchSize: Int, random: RandomStream
  ) throws(ApusError) -> BatchPlan {
    guard batchSize >= 1 else {
      throw ApusError(
        .invalidConfig, at: "batch-size", "\(batchSize) examples make no batch",
        remedy: "Use a batch size of 1 or more")
    }
    var random = random
    let order = random.shuffled(0..<count)
    let batches = stride(from: 0, to: count, by: batchSize).map { start in
      Array(order[start..<min(start + batchSize, count)])
    }
    return BatchPlan(batches: batches)
  }

  /// Batches for evaluation, where the order does not matter: neighbours are of like length, so
  /// that little is padded, and each batch is as large as the budget lets.
  ///
  /// - Parameters:
  ///   - lengths: Tokens of each example, ≥ 0.
  ///   - tokenBudget: Most tokens of a batch with its padding, ≥ 1; an example that is longer by
  ///     itself is a batch of its own.
  /// - Returns: Batches of increasing length.
  /// - Throws: ``ApusError`` `.invalidConfig` if `tokenBudget` is below 1.
  public static func sortedByLength(
    _ lengths: [Int], tokenBudget: Int
  ) throws(ApusError) -> BatchPlan {
    guard tokenBudget >= 1 else {
      throw ApusError(
        .invalidConfig, at: "token-budget", "\(tokenBudget) tokens make no batch",
        remedy: "Use a budget of at least one example's length")
    }
    let order = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
    var batches: [[Int]] = []
    var batch: [Int] = []
    for position in order {
      // Lengths rise, so this example's length is the padded length of all before it.
      let fits = (batch.count + 1).multipliedReportingOverflow(by: lengths[position])
      if !batch.isEmpty, fits.overflow || fits.partialValue > tokenBudget {
        batches.append(batch)
        batch = []
      }
      batch.append(position)
    }
    if !batch.isEmpty { batches.append(batch) }
    return BatchPlan(batches: batches)
  }

  /// The positions in the order of visit: result i of the batches in sequence belongs to
  /// position `permutation[i]`.
  public var permutation: [Int] { batches.flatMap(\.self) }

  /// Puts the results of all batches, in sequence, back into the order of the positions.
  ///
  /// - Precondition: There is one result per example.
  public func restored<Result>(_ results: [Result]) -> [Result] {
    zip(permutation, results).sorted { $0.0 < $1.0 }.map(\.1)
  }
}

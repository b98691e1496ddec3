internal import ApusCore
internal import ApusTorch
internal import Foundation

/// The rows of T5's tables of distances: near ones a row each, far ones in logarithmic steps.
///
/// - Source: Raffel et al., arXiv 1910.10683, §2.1; transformers, `T5Attention`.
struct RelativeBuckets: Sendable {
  /// Rows of a table.
  let relative_attention_num_buckets: Int
  /// From here on all distances share the last row.
  let relative_attention_max_distance: Int
  /// Whether later tokens are seen too; they have half of the rows then.
  let isBidirectional: Bool

  /// The row of a distance: place of the key minus place of the query.
  ///
  /// In float32 like the reference, for the rounding to agree.
  func row(_ distance: Int) -> Int {
    var count = relative_attention_num_buckets
    var first = 0
    var steps = -min(distance, 0)
    if isBidirectional {
      count /= 2
      first = distance > 0 ? count : 0
      steps = abs(distance)
    }
    let exact = count / 2
    guard steps >= exact else { return first + steps }
    let share =
      log(Float(steps) / Float(exact))
      / Float(log(Double(relative_attention_max_distance) / Double(exact)))
    return first + min(exact + Int(share * Float(count - exact)), count - 1)
  }

  /// Scores by distance [H, rows, columns] of a table [buckets, H].
  func bias(_ table: Tensor, distances: [[Int]]) -> Tensor {
    let rows = distances.flatMap { $0.map(row) }
    let index = Tensor(rows, shape: [distances.count, distances.first?.count ?? 0])
    return embedding(table.to(.float32), index.to(device: table.device)).permuted([2, 0, 1])
  }

  /// Scores by distance for texts of a length [H, L, L].
  func bias(_ table: Tensor, length: Int) -> Tensor {
    bias(
      table,
      distances: (0..<length).map { query in (0..<length).map { $0 - query } })
  }
}

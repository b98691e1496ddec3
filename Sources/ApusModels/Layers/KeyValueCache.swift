internal import ApusCore
internal import ApusTorch

/// Keys and values of the tokens that a decoder has read, so that the next token costs one row.
///
/// Sequences lie flush right: the newest token of every example is in the last column, and the
/// places in front of shorter ones are masked.
///
/// - Shapes: B examples, K key heads, S columns, d head size.
public final class KeyValueCache {
  private var keys: [Int: Tensor] = [:]
  private var values: [Int: Tensor] = [:]
  /// By block, 0 for tokens and −∞ in front of them [B, 1, 1, S].
  private var masks: [Int: Tensor] = [:]
  /// The position of the next token of each example [B].
  private(set) var nextPositions: [Int] = []

  /// A cache of nothing yet.
  public init() {}

  /// Whether the prompts were read, so that single tokens follow.
  var isFilled: Bool { !nextPositions.isEmpty }

  /// Takes the keys and values of one block over whole prompts, rows [T, K·d].
  func fill(_ block: Int, keys: Tensor, values: Tensor, heads: Int, layout: RowLayout) {
    let place = { (rows: Tensor) in Self.flushRight(rows.detached(), heads: heads, layout) }
    (self.keys[block], self.values[block]) = (place(keys), place(values))
    let longest = layout.maxLength
    let flags = layout.lengths.flatMap { length in
      (0..<longest).map { $0 < longest - length ? -Float.infinity : 0 }
    }
    masks[block] = Tensor(flags, shape: [layout.exampleCount, 1, 1, longest])
      .to(device: keys.device)
  }

  /// Ends the reading of prompts, whose last tokens stand at these positions.
  func finish(lastPositions: [Int]) { nextPositions = lastPositions.map { $0 + 1 } }

  /// Ends a step: the next token stands one place further.
  func advance() { nextPositions = nextPositions.map { $0 + 1 } }

  /// Adds one token's keys and values [B, K·d] to a block's.
  ///
  /// - Returns: All of them [B, K, S, d], and the mask of their columns [B, 1, 1, S].
  func append(
    _ block: Int, keys: Tensor, values: Tensor, heads: Int
  ) -> (keys: Tensor, values: Tensor, mask: Tensor) {
    let extended = { (old: Tensor?, new: Tensor) -> Tensor in
      let column = new.detached().reshaped([new.size(0), heads, 1, -1])
      return old.map { concatenated([$0, column], dim: 2) } ?? column
    }
    let all = (extended(self.keys[block], keys), extended(self.values[block], values))
    let mask = (masks[block] ?? Tensor.zeros([keys.size(0), 1, 1, 0])).padded([0, 1])
    (self.keys[block], self.values[block], masks[block]) = (all.0, all.1, mask)
    return (all.0, all.1, mask)
  }

  /// Takes these examples instead, each as often as it is named: the step between beams.
  public func select(_ examples: [Int]) {
    guard examples != Array(nextPositions.indices), let device = keys.values.first?.device else {
      return
    }
    let index = Tensor(examples, shape: [examples.count]).to(device: device)
    nextPositions = examples.map { nextPositions[$0] }
    keys = keys.mapValues { $0.indexSelected(0, index) }
    values = values.mapValues { $0.indexSelected(0, index) }
    masks = masks.mapValues { $0.indexSelected(0, index) }
  }

  /// Rows [T, K·d] to [B, K, S, d], with zeros in front of shorter examples.
  private static func flushRight(_ rows: Tensor, heads: Int, _ layout: RowLayout) -> Tensor {
    var order: [Int] = []
    var row = 0
    for length in layout.lengths {
      order += repeatElement(layout.rowCount, count: layout.maxLength - length)
      order += row..<(row + length)
      row += length
    }
    let empty = Tensor.zeros([1, rows.size(-1)], dtype: rows.dtype, device: rows.device)
    let index = Tensor(order, shape: [order.count]).to(device: rows.device)
    return concatenated([rows, empty]).indexSelected(0, index)
      .reshaped([layout.exampleCount, layout.maxLength, heads, -1]).transposed(1, 2).contiguous()
  }
}

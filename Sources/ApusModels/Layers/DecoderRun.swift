internal import ApusCore
internal import ApusTorch

/// The blocks of a decoder, one after the other, over whole sequences or one token further.
struct DecoderRun {
  /// K, the number of key heads.
  let heads: Int
  /// Query heads that share a key head.
  let queries: Int
  /// Tokens that each block looks back at; nil for all.
  let windows: [Int?]
  /// Turns queries and keys; nil if positions are embedded.
  let rotary: RotaryEmbedding?
  /// The entrance of every block, in order.
  let entrances: [SequenceSite]

  /// Rows [T, D] through all blocks.
  ///
  /// - Parameters:
  ///   - rows: Embedded tokens.
  ///   - batch: The tokens.
  ///   - pass: Their layout, and the source of dropout.
  ///   - cache: Filled, or gone on with; nil for none. What adapters put in front is in it.
  ///   - block: Computes the block of the given number.
  /// - Returns: Rows of the same tokens.
  func callAsFunction(
    _ rows: Tensor, _ batch: TokenBatch, _ pass: ForwardPass, _ cache: KeyValueCache?,
    block:
      @escaping (
        _ index: Int, _ rows: Tensor, _ plan: DecoderPlan, _ pass: ForwardPass
      ) -> Tensor
  ) -> Tensor {
    if let cache, cache.isFilled {
      let plan = DecoderPlan(
        step: pass.layout, heads: heads, rotary: rotary, cache: cache, device: rows.device)
      defer { cache.advance() }
      return entrances.indices.filter { entrances[$0].mode != .skipped }
        .reduce(rows) { block($1, $0, plan, pass.scoped("layer", $1)) }
    }
    let own = batch.statedPositions
    let stack = BlockStack(heads: heads, entrances: entrances)
    var lastPositions: [Int] = []
    let result = stack(rows, pass) { layout, inserted in
      let positions = own.map { all in
        all.map { Array(0..<inserted) + $0.map { $0 + inserted } }
      }
      lastPositions = positions?.map { $0.last ?? 0 } ?? layout.lengths.map { $0 - 1 }
      return DecoderPlan(
        layout, positions: positions, heads: heads, queries: queries, windows: Set(windows),
        rotary: rotary, cache: cache, device: rows.device)
    } block: {
      block($0, $1, $2, $3)
    }
    cache?.finish(lastPositions: lastPositions)
    return result
  }
}

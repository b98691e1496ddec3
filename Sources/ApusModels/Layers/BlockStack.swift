internal import ApusCore
internal import ApusTorch

/// Blocks one after the other, with chances for adapters to put tokens in front of each.
struct BlockStack {
  /// H, the number of attention heads.
  let heads: Int
  /// The entrance of every block, in order.
  let entrances: [SequenceSite]

  /// Rows [T, D] through all blocks; prompts that a block's entrance puts in front stay until the
  /// end, unless a later one replaces them.
  ///
  /// - Parameters:
  ///   - rows: Embedded tokens.
  ///   - pass: Their layout, and the source of dropout.
  ///   - block: Computes the block of the given number.
  /// - Returns: Rows of the same tokens.
  func callAsFunction(
    _ rows: Tensor, _ pass: ForwardPass,
    block:
      @escaping (
        _ index: Int, _ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass
      ) -> Tensor
  ) -> Tensor {
    self(rows, pass) { layout, _ in
      HeadLayout(layout, heads: heads, device: rows.device)
    } block: {
      block($0, $1, $2, $3)
    }
  }

  /// As above, with a plan of the rows that the blocks share.
  ///
  /// - Parameters:
  ///   - rows: Embedded tokens.
  ///   - pass: Their layout, and the source of dropout.
  ///   - plan: Made again whenever tokens were put in front, so many of every example.
  ///   - block: Computes the block of the given number.
  /// - Returns: Rows of the same tokens.
  func callAsFunction<Plan>(
    _ rows: Tensor, _ pass: ForwardPass, plan: (_ layout: RowLayout, _ inserted: Int) -> Plan,
    block: @escaping (_ index: Int, _ rows: Tensor, _ plan: Plan, _ pass: ForwardPass) -> Tensor
  ) -> Tensor {
    var (rows, pass) = (rows, pass)
    var inserted = 0
    var current = plan(pass.layout, 0)
    for (index, entrance) in entrances.enumerated() where entrance.mode != .skipped {
      if let observer = entrance.observer {
        observer(rows)
        // So that what the observer makes of them and the block add up their gradients in the same
        // order, whether the block is computed again or not.
        rows = rows.reshaped(rows.shape)
      }
      if entrance.adapter != nil {
        var inside = pass.scoped("layer", index)
        rows = entrance(rows, &inside, inserted: &inserted)
        pass.layout = inside.layout
        current = plan(pass.layout, inserted)
      }
      let (plan, inside) = (current, pass.scoped("layer", index).running(entrance.mode))
      let again = Recomputation(inside) { block(index, $0, plan, $1) }
      rows = again?(rows) ?? block(index, rows, plan, inside)
    }
    return SequenceSite.removing(inserted, from: rows, &pass)
  }
}

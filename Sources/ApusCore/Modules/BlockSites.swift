public import ApusTorch

/// A function trained on a sublayer's branch, before it is added to the residual stream.
public protocol ResidualAdapter: AnyObject {
  /// The new branch: of the old one [T, D], and of what went into the sublayer [T, D].
  func adapted(_ branch: Tensor, input: Tensor, pass: ForwardPass) -> Tensor
}

/// The end of a sublayer's branch: where bottleneck adapters act, serial or parallel.
public final class ResidualSite: Module, LeafModule {
  /// The adapter, if there is one.
  public var adapter: (any ResidualAdapter)?

  /// The branch [T, D] as the adapter leaves it.
  public func callAsFunction(_ branch: Tensor, input: Tensor, _ pass: ForwardPass) -> Tensor {
    adapter.map { $0.adapted(branch, input: input, pass: pass.scoped("residual")) } ?? branch
  }
}

/// Tokens trained in front of a block.
public protocol SequenceAdapter: AnyObject {
  /// Whether tokens that an earlier block got are dropped before these come.
  var replacesEarlier: Bool { get }
  /// The tokens to put in front of every example [P, D].
  func tokens(_ pass: ForwardPass) -> Tensor
}

/// The entrance of a block: where soft, deep and visual prompts come in.
public final class SequenceSite: Module, LeafModule {
  /// The adapter, if there is one.
  public var adapter: (any SequenceAdapter)?
  /// How the block behind the entrance runs.
  public var mode = BlockMode.asGiven
  /// Sees the rows [T, D] that come to the entrance, before the adapter; nil if nobody looks.
  public var observer: ((Tensor) -> Void)?

  /// Puts the adapter's tokens in front of every example.
  ///
  /// - Parameters:
  ///   - rows: Tokens that enter the block [T, D].
  ///   - pass: Its layout is changed to the new lengths.
  ///   - inserted: Tokens that earlier sites put in front; changed to the number now.
  /// - Returns: Tokens with those in front [T + B·P, D].
  public func callAsFunction(
    _ rows: Tensor, _ pass: inout ForwardPass, inserted: inout Int
  ) -> Tensor {
    guard let adapter else { return rows }
    let tokens = adapter.tokens(pass.scoped("sequence"))
    let dropped = adapter.replacesEarlier ? inserted : 0
    let count = tokens.size(0)
    // Rows of the joined table [P; T] in their new order.
    var order: [Int] = []
    var lengths: [Int] = []
    var row = count
    for length in pass.layout.lengths {
      order += Array(0..<count) + Array((row + dropped)..<(row + length))
      lengths.append(count + length - dropped)
      row += length
    }
    inserted += count - dropped
    pass.layout = RowLayout(lengths: lengths, device: rows.device)
    let index = Tensor(order, shape: [order.count]).to(device: rows.device)
    return concatenated([tokens.to(rows.dtype), rows]).indexSelected(0, index)
  }

  /// Drops the first `count` tokens of every example again.
  public static func removing(
    _ count: Int, from rows: Tensor, _ pass: inout ForwardPass
  ) -> Tensor {
    guard count > 0 else { return rows }
    var order: [Int] = []
    var row = 0
    for length in pass.layout.lengths {
      order += Array((row + count)..<(row + length))
      row += length
    }
    pass.layout = RowLayout(
      lengths: pass.layout.lengths.map { $0 - count }, device: rows.device)
    return rows.indexSelected(0, Tensor(order, shape: [order.count]).to(device: rows.device))
  }
}

/// Keys and values trained in front of those of an attention.
public protocol AttentionAdapter: AnyObject {
  /// Extra keys and values, each [H, P, d].
  func keysAndValues(_ pass: ForwardPass) -> (keys: Tensor, values: Tensor)
}

/// Keys and values of an attention: where prefix tuning acts.
public final class AttentionSite: Module, LeafModule {
  /// The adapter, if there is one.
  public var adapter: (any AttentionAdapter)?

  /// Puts the adapter's keys and values in front: [B, H, L, d] → [B, H, P + L, d].
  ///
  /// - Parameters:
  ///   - keys: Keys of the tokens.
  ///   - values: Values of the tokens.
  ///   - mask: Added to scores, [B, 1, 1, L]; grows by P columns of zeros.
  ///   - pass: Chance for the adapter's dropout.
  /// - Returns: The longer keys, values and mask.
  public func callAsFunction(
    _ keys: Tensor, _ values: Tensor, mask: Tensor?, _ pass: ForwardPass
  ) -> (keys: Tensor, values: Tensor, mask: Tensor?) {
    guard let adapter else { return (keys, values, mask) }
    let extra = adapter.keysAndValues(pass.scoped("attention"))
    let count = extra.keys.size(1)
    let shape = [keys.size(0), keys.size(1), count, keys.size(3)]
    let front = { (t: Tensor) in t.to(keys.dtype).unsqueezed(0).expanded(shape) }
    return (
      concatenated([front(extra.keys), keys], dim: 2),
      concatenated([front(extra.values), values], dim: 2), mask.map { $0.padded([count, 0]) }
    )
  }
}

extension Module {
  /// The entrances of all blocks below, in the order of the blocks.
  public final var entrances: [SequenceSite] {
    var found: [SequenceSite] = []
    walk { _, module in
      if let entrance = module as? SequenceSite { found.append(entrance) }
    }
    return found
  }
}

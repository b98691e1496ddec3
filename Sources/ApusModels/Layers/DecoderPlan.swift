internal import ApusCore
internal import ApusTorch

/// What the blocks of a decoder share in one pass: where rows lie, where they stand, what they see.
///
/// - Shapes: T rows, K key heads, q queries of each; groups as in ``HeadLayout``.
struct DecoderPlan {
  /// Rows cut into key heads.
  let layout: HeadLayout
  /// The rotations of all rows; nil if positions are embedded.
  let rotation: RotaryEmbedding.Table?
  /// Where keys and values are kept for later tokens; nil in training.
  let cache: KeyValueCache?
  /// Whether the tokens of every example stand at 0, 1, ….
  let isDense: Bool
  /// Added to the scores of every group, by window [1 or B_g, 1, L_g·q, L_g].
  private let masks: [Int?: [Tensor]]

  /// Plans a pass over whole sequences.
  ///
  /// - Parameters:
  ///   - layout: The rows' examples.
  ///   - positions: Place of every token in its example, ascending; nil for 0, 1, ….
  ///   - heads: K.
  ///   - queries: q, the query heads that share a key head.
  ///   - windows: Tokens that blocks look back at, their own included; nil for all.
  ///   - rotary: Turns rows by their positions.
  ///   - cache: Filled by the pass if there is one.
  ///   - device: Where the rows are.
  init(
    _ layout: RowLayout, positions: [[Int]]?, heads: Int, queries: Int, windows: Set<Int?>,
    rotary: RotaryEmbedding?, cache: KeyValueCache?, device: Device
  ) {
    let cut = HeadLayout(layout, heads: heads, device: device)
    self.layout = cut
    self.cache = cache
    isDense = positions == nil
    let places = positions ?? layout.lengths.map { Array(0..<$0) }
    rotation = rotary?.table(
      Tensor(places.flatMap { $0 }, shape: [layout.rowCount]).to(device: device))
    masks = Dictionary(
      uniqueKeysWithValues: windows.map { window in
        let masks = cut.groups.map { group in
          Self.mask(
            positions.map { all in group.examples.map { all[$0] } }, group.length, queries, window
          )
          .to(device: device)
        }
        return (window, masks)
      })
  }

  /// Plans a pass over one more token of every example, behind what the cache holds.
  init(
    step layout: RowLayout, heads: Int, rotary: RotaryEmbedding?, cache: KeyValueCache,
    device: Device
  ) {
    self.layout = HeadLayout(layout, heads: heads, device: device)
    self.cache = cache
    isDense = false
    let positions = cache.nextPositions
    rotation = rotary?.table(Tensor(positions, shape: [positions.count]).to(device: device))
    masks = [:]
  }

  /// Added to the scores of a group's blocks with this window.
  func mask(_ group: Int, window: Int?) -> Tensor { masks[window]?[group] ?? Tensor.zeros([1]) }

  /// 0 where a query may look, −∞ where not.
  ///
  /// Places behind an example's end stand behind all its tokens, so that none of them looks there.
  private static func mask(
    _ positions: [[Int]]?, _ length: Int, _ queries: Int, _ window: Int?
  ) -> Tensor {
    let places: Tensor
    if let positions {
      let filled = positions.flatMap { own in
        own + (0..<(length - own.count)).map { (own.last ?? 0) + 1 + $0 }
      }
      places = Tensor(filled, shape: [positions.count, length])
    } else {
      places = Tensor.range(0, length).unsqueezed(0)
    }
    let (asking, asked) = (places.unsqueezed(2), places.unsqueezed(1))  // [B, L, 1], [B, 1, L]
    let isLater = asked .> asking
    let hidden =
      if let window, window < length || positions != nil {
        isLater .| (asked .<= asking - Double(window))
      } else {
        isLater
      }
    let mask = Tensor.zeros(hidden.shape).filled(where: hidden, -.infinity)
    return mask.unsqueezed(2).expanded([-1, -1, queries, -1])
      .reshaped([mask.size(0), 1, length * queries, length])
  }
}

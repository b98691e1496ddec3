internal import ApusCore
internal import ApusTorch

/// What the blocks of a decoder beside an encoder share in one pass.
///
/// - Shapes: T rows of targets, S rows of sources, D hidden size; groups as in ``HeadLayout``.
enum TargetPlan {
  /// Whole targets: every token sees the earlier ones of its text, and all of its source.
  case whole(WholeTargets)
  /// One more token of every text, behind those that the memory holds.
  case step(SourceMemory)
}

/// Where whole targets and their sources lie.
struct WholeTargets {
  /// The targets' rows cut into heads.
  let layout: HeadLayout
  /// The sources' rows cut into heads, in groups of the same examples.
  let sourceLayout: HeadLayout
  /// The sources [S, D].
  let source: Tensor
  /// By length, 0 where a query may look and −∞ where not [1, L, L].
  private let later: [Int: Tensor]

  init(_ layout: RowLayout, source: Tensor, sourceLayout: RowLayout, heads: Int) {
    let own = HeadLayout(layout, heads: heads, device: source.device)
    self.layout = own
    self.source = source
    self.sourceLayout = HeadLayout(
      sourceLayout, heads: heads, device: source.device, members: own.groups.map(\.examples))
    var later: [Int: Tensor] = [:]
    for length in own.groups.map(\.length) where later[length] == nil {
      let places = Tensor.range(0, length)
      let hidden = places.unsqueezed(0) .> places.unsqueezed(1)
      later[length] = Tensor.zeros([1, length, length]).filled(where: hidden, -.infinity)
        .to(device: source.device)
    }
    self.later = later
  }

  /// Hides later tokens from the queries of a length.
  func later(_ length: Int) -> Tensor { later[length] ?? Tensor.empty([0]) }
}

/// What a decoder keeps of the source and of the tokens that it has written.
///
/// - Shapes: B rows, H heads, n tokens written, S longest source, d head size.
public final class SourceMemory: GenerationMemory {
  /// The sources' rows and their layout; each block projects them once.
  let source: Tensor
  let sourceLayout: RowLayout
  /// Tokens that every row has read.
  private(set) var length = 0
  private var own: [Int: (keys: Tensor, values: Tensor)] = [:]
  private var seen: [Int: (keys: Tensor, values: Tensor)] = [:]
  private var sourceMask: Tensor?
  private(set) var rowCount: Int

  /// A memory of sources that were read, and of no token yet.
  init(source: Tensor, layout: RowLayout) {
    self.source = source
    sourceLayout = layout
    rowCount = layout.exampleCount
    let longest = layout.maxLength
    guard layout.lengths.contains(where: { $0 < longest }) else { return }
    let flags = layout.lengths.flatMap { length in
      (0..<longest).map { $0 < length ? Float(0) : -.infinity }
    }
    sourceMask = Tensor(flags, shape: [rowCount, 1, 1, longest]).to(device: source.device)
  }

  /// Adds keys and values of one token of every row [B, H·d]; all so far [B·H, n, d].
  func append(
    _ block: Int, keys: Tensor, values: Tensor, heads: Int
  ) -> (keys: Tensor, values: Tensor) {
    let column = { (rows: Tensor) in rows.reshaped([rows.size(0), heads, 1, -1]) }
    var all = (keys: column(keys), values: column(values))
    if let own = own[block] {
      all.keys = concatenated([own.keys, all.keys], dim: 2)
      all.values = concatenated([own.values, all.values], dim: 2)
    }
    own[block] = all
    return (flat(all.keys), flat(all.values))
  }

  /// The source's keys and values for a block [B·H, S, d], projected at the first call.
  func source(
    _ block: Int, heads: Int, projected: (Tensor) -> (keys: Tensor, values: Tensor)
  ) -> (keys: Tensor, values: Tensor, mask: Tensor?) {
    if seen[block] == nil {
      let rows = projected(source)
      let cut = { [sourceLayout] (rows: Tensor) in
        let padded = sourceLayout.padded(rows.to(.float32))
        return padded.reshaped([padded.size(0), padded.size(1), heads, -1]).transposed(1, 2)
          .contiguous()
      }
      seen[block] = (cut(rows.keys), cut(rows.values))
    }
    guard let found = seen[block] else { return (source, source, nil) }
    return (flat(found.keys), flat(found.values), sourceMask)
  }

  /// Ends a step.
  func advance() { length += 1 }

  public func select(_ rows: [Int]) {
    guard rows != Array(0..<rowCount) else { return }
    let index = Tensor(rows, shape: [rows.count]).to(device: source.device)
    let chosen = { (pair: (keys: Tensor, values: Tensor)) in
      (keys: pair.keys.indexSelected(0, index), values: pair.values.indexSelected(0, index))
    }
    (own, seen) = (own.mapValues(chosen), seen.mapValues(chosen))
    sourceMask = sourceMask?.indexSelected(0, index)
    rowCount = rows.count
  }

  private func flat(_ x: Tensor) -> Tensor { x.reshaped([-1, x.size(2), x.size(3)]) }
}

/// Attention of a decoder beside an encoder: to earlier tokens of its text, or to the source.
struct TargetAttention: Sendable {
  let attention: ScaledDotProduct
  /// Number of the block, for the memory.
  let block: Int
  /// H.
  let heads: Int

  /// Attends to the own token and the earlier ones.
  ///
  /// - Parameters:
  ///   - q: Queries, rows [T, H·d].
  ///   - k: Keys, rows of the same tokens.
  ///   - v: Values, rows of the same tokens.
  ///   - plan: Where the rows lie.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  ///   - bias: Scores by distance [H, L, L] for texts of a length; nil for none.
  /// - Returns: Rows [T, H·d].
  func own(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ plan: TargetPlan, _ prefix: AttentionSite,
    _ pass: ForwardPass, bias: ((_ length: Int) -> Tensor)? = nil
  ) -> Tensor {
    switch plan {
    case .whole(let whole):
      return attention(q, k, v, whole.layout, prefix, pass) { q, _ in
        let later = whole.later(q.size(1))
        return bias.map { spread($0(q.size(1)), over: q.size(0)) + later } ?? later
      }
    case .step(let memory):
      let (keys, values) = memory.append(
        block, keys: k.to(.float32), values: v.to(.float32), heads: heads)
      let count = keys.size(1)
      let distances = bias.map { all in
        spread(all(count).sliced(1, (count - 1)..<count), over: keys.size(0))
      }
      return step(q, keys, values, mask: nil, memory, prefix, pass, distances)
    }
  }

  /// Attends to the source.
  ///
  /// - Parameters:
  ///   - q: Queries, rows [T, H·d].
  ///   - plan: Where the rows lie, and the source.
  ///   - prefix: Chance for an adapter to put keys and values in front.
  ///   - pass: Source of dropout.
  ///   - projected: Keys and values of the source's rows [S, D], each [S, H·d].
  /// - Returns: Rows [T, H·d].
  func source(
    _ q: Tensor, _ plan: TargetPlan, _ prefix: AttentionSite, _ pass: ForwardPass,
    projected: (Tensor) -> (keys: Tensor, values: Tensor)
  ) -> Tensor {
    switch plan {
    case .whole(let whole):
      let (k, v) = projected(whole.source)
      return attention(q, k, v, whole.layout, from: whole.sourceLayout, prefix, pass)
    case .step(let memory):
      let (keys, values, mask) = memory.source(block, heads: heads, projected: projected)
      return step(q, keys, values, mask: mask, memory, prefix, pass, nil)
    }
  }

  private func step(
    _ q: Tensor, _ keys: Tensor, _ values: Tensor, mask: Tensor?, _ memory: SourceMemory,
    _ prefix: AttentionSite, _ pass: ForwardPass, _ distances: Tensor?
  ) -> Tensor {
    let asking = q.to(.float32).reshaped([q.size(0) * heads, 1, -1])
    return attention.attend(
      asking, keys, values, mask: mask, batch: memory.rowCount, prefix, pass,
      distances: distances
    ).reshaped(q.shape).to(q.dtype)
  }

  /// A bias of every head [H, n, L] for as many rows of heads [B·H, n, L].
  private func spread(_ bias: Tensor, over count: Int) -> Tensor {
    let (rows, columns) = (bias.size(1), bias.size(2))
    return bias.unsqueezed(0).expanded([count / heads, heads, rows, columns])
      .reshaped([count, rows, columns])
  }
}

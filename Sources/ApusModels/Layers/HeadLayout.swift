internal import ApusCore
internal import ApusTorch

/// How the heads of packed rows lie in padded groups, so that attention multiplies little padding.
///
/// Examples of like length share a group, which is as long as its longest. Rows are cut into heads
/// by the same gather that pads them, so nothing is copied twice.
///
/// - Shapes: T rows, H heads, d head size, D = H·d; in group g, B_g examples of at most L_g tokens.
struct HeadLayout: Sendable {
  /// Examples that are padded to one length.
  struct Group: Sendable {
    /// Their numbers in the batch, longest first.
    let examples: [Int]
    let length: Int
    /// Added to scores: 0 for tokens, −∞ for padding [B_g, 1, 1, L_g]; nil without padding.
    let mask: Tensor?
    /// For each place [B_g, H, L_g] its row among the rows cut into heads; 0 for padding.
    fileprivate let rowOfPlace: Tensor
    fileprivate let placeCount: Int

    /// B_g.
    var exampleCount: Int { examples.count }
  }

  let groups: [Group]
  let heads: Int
  /// Tokens of each example, in the order of the rows.
  let lengths: [Int]
  /// For each row cut into heads its place among those of all groups [T·H].
  private let placeOfRow: Tensor
  /// 1 for places with a token, 0 for padding, over all groups [Σ B_g·H·L_g, 1]; nil without.
  private let occupied: Tensor?

  /// Shortest example of a group, as a share of its longest.
  private static let likeness = 0.75

  /// Plans the groups of a batch.
  ///
  /// - Parameters:
  ///   - layout: The rows' examples.
  ///   - heads: H.
  ///   - device: Where the rows are.
  ///   - members: The examples of each group; nil for groups of like length.
  init(_ layout: RowLayout, heads: Int, device: Device, members: [[Int]]? = nil) {
    let lengths = layout.lengths
    var starts = [0]
    for length in lengths { starts.append((starts.last ?? 0) + length) }
    var places = [Int](repeating: 0, count: layout.rowCount * heads)
    var flags: [Float] = []
    var groups: [Group] = []
    for examples in members ?? Self.members(lengths) {
      let length = examples.map { lengths[$0] }.max() ?? 0
      var rows: [Int] = []  // in the order of places: example, head, position
      for example in examples {
        for head in 0..<heads {
          for position in 0..<length {
            let isToken = position < lengths[example]
            let row = isToken ? (starts[example] + position) * heads + head : 0
            if isToken { places[row] = flags.count }
            flags.append(isToken ? 1 : 0)
            rows.append(row)
          }
        }
      }
      groups.append(
        Group(
          examples: examples, length: length,
          mask: Self.mask(examples.map { lengths[$0] }, length)?.to(device: device),
          rowOfPlace: Tensor(rows, shape: [rows.count]).to(device: device),
          placeCount: rows.count))
    }
    self.groups = groups
    self.heads = heads
    self.lengths = lengths
    placeOfRow = Tensor(places, shape: [places.count]).to(device: device)
    occupied =
      groups.allSatisfy { $0.mask == nil }
      ? nil : Tensor(flags, shape: [flags.count, 1]).to(device: device)
  }

  /// The examples of each group, longest first.
  private static func members(_ lengths: [Int]) -> [[Int]] {
    var groups: [[Int]] = []
    for example in lengths.indices.sorted(by: { (lengths[$0], $1) > (lengths[$1], $0) }) {
      if let longest = groups.last?.first,
        Double(lengths[example]) >= likeness * Double(lengths[longest])
      {
        groups[groups.count - 1].append(example)
      } else {
        groups.append([example])
      }
    }
    return groups
  }

  /// 0 for tokens, −∞ for padding [B_g, 1, 1, L_g]; nil if all are as long as the longest.
  private static func mask(_ lengths: [Int], _ longest: Int) -> Tensor? {
    guard lengths.contains(where: { $0 < longest }) else { return nil }
    let values = lengths.flatMap { length in
      (0..<longest).map { $0 < length ? Float(0) : -.infinity }
    }
    return Tensor(values, shape: [lengths.count, 1, 1, longest])
  }

  /// Rows [T, D] cut into heads, for each group [B_g·H, L_g, d].
  func split(_ rows: Tensor) -> [Tensor] {
    let size = rows.size(1) / heads
    let (shape, groups, back) = (rows.shape, groups, placeOfRow)
    let parts = customOperation([rows]) {
      let cut = rows.reshaped([-1, size])
      return groups.map { cut.indexSelected(0, $0.rowOfPlace) }
    } backward: { gradients in
      let all = zip(gradients, groups).map { gradient, group in
        gradient ?? Tensor.zeros([group.placeCount, size], device: back.device)
      }
      return [Self.joined(all).indexSelected(0, back).reshaped(shape)]
    }
    return zip(parts, groups).map { $0.reshaped([$1.exampleCount * heads, $1.length, size]) }
  }

  /// The inverse of ``split(_:)``: padding is dropped and gets no gradient.
  func join(_ parts: [Tensor]) -> Tensor {
    let flat = zip(parts, groups).map { part, group in
      part.reshaped([group.placeCount, part.size(-1)])
    }
    let (size, groups, occupied, forward) = (flat[0].size(1), groups, occupied, placeOfRow)
    let heads = heads
    return customOperation(flat) {
      [Self.joined(flat).indexSelected(0, forward).reshaped([-1, heads * size])]
    } backward: { gradients in
      guard let cut = gradients[0]?.reshaped([-1, size]) else { return groups.map { _ in nil } }
      var place = 0
      return groups.map { group in
        let gathered = cut.indexSelected(0, group.rowOfPlace)
        defer { place += group.placeCount }
        guard group.mask != nil, let occupied else { return gathered }
        return gathered * occupied.sliced(0, place..<(place + group.placeCount))
      }
    }[0]
  }

  private static func joined(_ parts: [Tensor]) -> Tensor {
    parts.count == 1 ? parts[0] : concatenated(parts)
  }
}

public import ApusBase
public import ApusCore
public import ApusTorch

/// The tokens of a few examples, one behind the other, without padding.
///
/// - Shapes: ids, types and positions [T] int64, T = Σ lengths.
public struct TokenBatch: Sendable {
  /// Which row belongs to which example.
  public let layout: RowLayout
  /// The tokens' numbers in the vocabulary.
  public let ids: Tensor
  /// The tokens' segments: 0 for the first text of an example, 1 for the second.
  public let types: Tensor
  /// The tokens' places in their example, from 0.
  public let positions: Tensor
  /// Places that were given; nil if they are 0, 1, ….
  let statedPositions: [[Int]]?
  /// The same tokens, example by example, where the processor reads them.
  let examples: [[Int]]
  /// The largest id, type and position, and whether an id or a type is negative.
  let bounds: (id: Int, type: Int, position: Int, hasNegative: Bool)

  /// Packs examples.
  ///
  /// - Parameters:
  ///   - examples: Token ids of each example, at least one.
  ///   - types: Segments of the same tokens; nil for zeros.
  ///   - positions: Places of the same tokens, ascending within an example; nil for 0, 1, ….
  ///   - device: Where the model is.
  /// - Throws: ``ApusError`` `.invalidData` for an example without tokens, if `types` or `positions`
  ///   do not have an entry for each token, or if positions do not ascend.
  public init(
    _ examples: [[Int]], types: [[Int]]? = nil, positions: [[Int]]? = nil, device: Device = .cpu
  ) throws(ApusError) {
    let lengths = examples.map(\.count)
    if let empty = lengths.firstIndex(of: 0) {
      throw ApusError(
        .invalidData, at: "batch, example \(empty)", "there are no tokens",
        remedy: "Tokenize with the model's special tokens, or leave empty texts out")
    }
    guard types.map({ $0.map(\.count) == lengths }) ?? true, !examples.isEmpty else {
      throw ApusError(
        .invalidData, at: "batch", "token types and token ids differ in number, or there are none",
        remedy: "Give one type for each token")
    }
    if let positions {
      let ascend = positions.allSatisfy { zip($0, $0.dropFirst()).allSatisfy { $0 < $1 } }
      guard positions.map(\.count) == lengths, ascend, positions.allSatisfy({ $0[0] >= 0 }) else {
        throw ApusError(
          .invalidData, at: "batch", "positions and token ids differ in number, or do not ascend",
          remedy: "Give one position for each token, each above the one before")
      }
    }
    let ids = examples.flatMap { $0 }
    let segments = types.map { $0.flatMap { $0 } } ?? Array(repeating: 0, count: ids.count)
    layout = RowLayout(lengths: lengths, device: device)
    self.examples = examples
    self.ids = Tensor(ids, shape: [ids.count]).to(device: device)
    self.types = Tensor(segments, shape: [ids.count]).to(device: device)
    statedPositions = positions
    let places = positions?.flatMap { $0 } ?? lengths.flatMap { Array(0..<$0) }
    self.positions = Tensor(places, shape: [ids.count]).to(device: device)
    bounds = (
      ids.max() ?? 0, segments.max() ?? 0, places.max() ?? 0,
      min(ids.min() ?? 0, segments.min() ?? 0) < 0
    )
  }
}

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
  /// The same tokens, example by example, where the processor reads them.
  let examples: [[Int]]
  /// The largest id and the largest type, and whether one of them is negative.
  let bounds: (id: Int, type: Int, hasNegative: Bool)

  /// Packs examples.
  ///
  /// - Parameters:
  ///   - examples: Token ids of each example, at least one.
  ///   - types: Segments of the same tokens; nil for zeros.
  ///   - device: Where the model is.
  /// - Throws: ``ApusError`` `.invalidData` for an example without tokens, or if `types` does not
  ///   have an entry for each token.
  public init(
    _ examples: [[Int]], types: [[Int]]? = nil, device: Device = .cpu
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
    let ids = examples.flatMap { $0 }
    let segments = types.map { $0.flatMap { $0 } } ?? Array(repeating: 0, count: ids.count)
    layout = RowLayout(lengths: lengths, device: device)
    self.examples = examples
    self.ids = Tensor(ids, shape: [ids.count]).to(device: device)
    self.types = Tensor(segments, shape: [ids.count]).to(device: device)
    positions = Tensor(lengths.flatMap { Array(0..<$0) }, shape: [ids.count]).to(device: device)
    bounds = (
      ids.max() ?? 0, segments.max() ?? 0, min(ids.min() ?? 0, segments.min() ?? 0) < 0
    )
  }
}

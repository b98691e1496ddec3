public import ApusCore
public import ApusTorch

/// An architecture whose tokens see earlier ones only: what causal language models stand on.
///
/// - Shapes: T rows, B examples, D hidden size, V vocabulary.
public protocol TextDecoder: TextEncoder {
  /// The table of the vocabulary [V, D], for models whose output layer is the same.
  var tokens: Embedding { get }
  /// Whether the output layer is the table of the vocabulary.
  var tiesOutput: Bool { get }
  /// Tokens that the table of positions has rows for; nil where positions are rotations.
  var positionLimit: Int? { get }
  /// Bound of the logits, approached smoothly; nil for none.
  var logitSoftCap: Double? { get }

  /// The padding that is no token of a text, even where it stands in one.
  var paddingToken: Int? { get }

  /// Vectors of all tokens [T, D].
  ///
  /// - Parameters:
  ///   - batch: Whole sequences; of a filled cache, the next token of each.
  ///   - pass: Their layout, and the source of dropout.
  ///   - cache: Filled with what later tokens need, or gone on with if it is filled; nil for none.
  /// - Returns: Rows [T, D] in the backbone's dtype.
  func hidden(_ batch: TokenBatch, _ pass: ForwardPass, cache: KeyValueCache?) -> Tensor
}

extension TextDecoder {
  public func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    hidden(batch, pass, cache: nil)
  }

  /// The vectors of the last tokens that are not padding [B, D].
  public func pooled(_ hidden: Tensor, of batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    var rows: [Int] = []
    var start = 0
    for ids in batch.examples {
      rows.append(start + (ids.lastIndex { $0 != paddingToken } ?? 0))
      start += ids.count
    }
    return hidden.indexSelected(0, Tensor(rows, shape: [rows.count]).to(device: hidden.device))
  }
}

public import ApusBase
public import ApusTorch

/// What a model's layers share during one forward pass.
public struct ForwardPass: Sendable {
  /// Which rows belong to which example.
  public var layout: RowLayout
  /// Source of dropout; nil in evaluation.
  public let random: RandomStream?
  /// Everything that trains, if blocks are computed again in the backward pass instead of keeping
  /// what they computed; nil if they keep it.
  public var recomputedLeaves: [Tensor]?

  /// A pass over rows of this layout, for training if there is a source of chance.
  public init(
    layout: RowLayout, random: RandomStream? = nil, recomputedLeaves: [Tensor]? = nil
  ) {
    self.layout = layout
    self.random = random
    self.recomputedLeaves = recomputedLeaves
  }

  /// Whether dropout and the like act.
  public var isTraining: Bool { random != nil }

  /// The same pass with a stream of its own for a part of the model.
  public func scoped(_ name: String, _ index: Int = 0) -> ForwardPass {
    ForwardPass(
      layout: layout, random: random?.substream(name, index), recomputedLeaves: recomputedLeaves)
  }

  /// The same pass as a block of this mode sees it.
  ///
  /// While the others train, nothing trains in a block that is only evaluated, and there is nothing
  /// to compute again.
  public func running(_ mode: BlockMode) -> ForwardPass {
    mode == .evaluated && isTraining ? ForwardPass(layout: layout) : self
  }
}

/// How the tokens of a batch lie in rows without padding.
///
/// The rows of all examples follow one another: a batch is [T, D] with T = Σ lengths. Linear layers
/// and norms work on rows; only attention cuts them apart.
///
/// - Shapes: B examples, L longest length, T rows, D features.
public struct RowLayout: Sendable {
  /// Tokens of each example.
  public let lengths: [Int]
  /// L, the longest of them.
  public let maxLength: Int
  /// T, the sum of them.
  public let rowCount: Int
  /// The row of each example's first token [B].
  public let firstRows: Tensor

  /// The layout of examples with these lengths, each ≥ 1.
  public init(lengths: [Int], device: Device = .cpu) {
    self.lengths = lengths
    maxLength = lengths.max() ?? 0
    var first: [Int] = []
    var row = 0
    for length in lengths {
      first.append(row)
      row += length
    }
    rowCount = row
    firstRows = Tensor(first, shape: [first.count]).to(device: device)
  }

  /// B.
  public var exampleCount: Int { lengths.count }

  /// Rows to padded form, with zeros where an example has ended: [T, D] → [B, L, D].
  public func padded(_ rows: Tensor) -> Tensor {
    var order: [Int] = []
    var row = 0
    for length in lengths {
      order += row..<(row + length)
      order += repeatElement(rowCount, count: maxLength - length)
      row += length
    }
    let empty = Tensor.zeros([1, rows.size(-1)], dtype: rows.dtype, device: rows.device)
    let index = Tensor(order, shape: [order.count]).to(device: rows.device)
    return concatenated([rows, empty]).indexSelected(0, index)
      .reshaped([exampleCount, maxLength, rows.size(-1)])
  }

  /// The row of each example's last token: [T, D] → [B, D].
  public func lastRows(of rows: Tensor) -> Tensor {
    var (last, row) = ([Int](), 0)
    for length in lengths {
      row += length
      last.append(row - 1)
    }
    return rows.indexSelected(0, Tensor(last, shape: [last.count]).to(device: rows.device))
  }

  /// A value of each example for each of its rows: [B] → [T].
  public func rowValues(_ values: Tensor) -> Tensor {
    let examples = lengths.enumerated().flatMap { repeatElement($0.offset, count: $0.element) }
    return values.indexSelected(
      0, Tensor(examples, shape: [examples.count]).to(device: values.device))
  }

  /// The mean over each example's rows: [T, D] → [B, D].
  public func meanOverExamples(_ rows: Tensor) -> Tensor {
    var weights = [Float](repeating: 0, count: exampleCount * rowCount)
    var row = 0
    for (example, length) in lengths.enumerated() {
      for _ in 0..<length {
        weights[example * rowCount + row] = 1 / Float(length)
        row += 1
      }
    }
    let averaging = Tensor(weights, shape: [exampleCount, rowCount])
    return matmul(averaging.to(rows.dtype, device: rows.device), rows)
  }
}

internal import CApusTorch

extension Tensor {
  /// The same elements in another shape; one entry may be −1 and is then computed.
  public func reshaped(_ shape: [Int]) -> Tensor {
    Tensor(apus_reshape(raw, shape.map(Int64.init), Int64(shape.count)))
  }

  /// Repeats axes of length 1 without copying; −1 keeps an axis.
  public func expanded(_ shape: [Int]) -> Tensor {
    Tensor(apus_expand(raw, shape.map(Int64.init), Int64(shape.count)))
  }

  /// The axes in another order.
  public func permuted(_ order: [Int]) -> Tensor {
    Tensor(apus_permute(raw, order.map(Int64.init), Int64(order.count)))
  }

  /// Two axes exchanged.
  public func transposed(_ first: Int, _ second: Int) -> Tensor {
    Tensor(apus_transpose(raw, Int64(first), Int64(second)))
  }

  /// The last two axes exchanged: the matrix transposed.
  public var matrixTransposed: Tensor { transposed(-2, -1) }

  /// Without axis `dim`, which has length 1.
  public func squeezed(_ dim: Int) -> Tensor { Tensor(apus_squeeze(raw, Int64(dim))) }

  /// With an axis of length 1 at `dim`.
  public func unsqueezed(_ dim: Int) -> Tensor { Tensor(apus_unsqueeze(raw, Int64(dim))) }

  /// Elements `range` of axis `dim`.
  public func sliced(_ dim: Int, _ range: Range<Int>, step: Int = 1) -> Tensor {
    Tensor(
      apus_slice(raw, Int64(dim), Int64(range.lowerBound), Int64(range.upperBound), Int64(step)))
  }

  /// Element `index` of axis `dim`, without that axis.
  public func selected(_ dim: Int, _ index: Int) -> Tensor {
    Tensor(apus_select(raw, Int64(dim), Int64(index)))
  }

  /// Row `index`: the element of the first axis.
  public subscript(index: Int) -> Tensor { selected(0, index) }

  /// The rows (or columns …) named by `index` [n] along axis `dim`.
  public func indexSelected(_ dim: Int, _ index: Tensor) -> Tensor {
    Tensor(apus_index_select(raw, Int64(dim), index.raw))
  }

  /// One element for each entry of `index`, taken along axis `dim`.
  public func gathered(_ dim: Int, _ index: Tensor) -> Tensor {
    Tensor(apus_gather(raw, Int64(dim), index.raw))
  }

  /// With `source` written at `index` along axis `dim`.
  public func scattered(_ dim: Int, _ index: Tensor, _ source: Tensor) -> Tensor {
    Tensor(apus_scatter(raw, Int64(dim), index.raw, source.raw))
  }

  /// With the rows of `source` added at `index` [n] along axis `dim`.
  public func indexAdded(_ dim: Int, _ index: Tensor, _ source: Tensor) -> Tensor {
    Tensor(apus_index_add(raw, Int64(dim), index.raw, source.raw))
  }

  /// Axis `dim` in reverse order.
  public func flipped(_ dim: Int) -> Tensor { Tensor(apus_flip(raw, Int64(dim))) }

  /// With `value` around the last axes; `pads` is (before, after) from the last axis on.
  public func padded(_ pads: [Int], value: Double = 0) -> Tensor {
    Tensor(apus_pad(raw, pads.map(Int64.init), Int64(pads.count), value))
  }

  /// The lower triangle, up to `diagonal` above the main one; zeros elsewhere.
  public func lowerTriangle(diagonal: Int = 0) -> Tensor { Tensor(apus_tril(raw, Int64(diagonal))) }

  /// The upper triangle, from `diagonal` above the main one; zeros elsewhere.
  public func upperTriangle(diagonal: Int = 0) -> Tensor { Tensor(apus_triu(raw, Int64(diagonal))) }

  /// With `value` where `mask` is true.
  public func filled(where mask: Tensor, _ value: Double) -> Tensor {
    Tensor(apus_masked_fill(raw, mask.raw, value))
  }

  /// For each class index a row with a single one [..., classes].
  public func oneHot(classes: Int) -> Tensor { Tensor(apus_one_hot(raw, Int64(classes))) }
}

/// Joins tensors along an existing axis.
public func concatenated(_ tensors: [Tensor], dim: Int = 0) -> Tensor {
  Tensor(apus_cat(tensors.map(\.raw), Int64(tensors.count), Int64(dim)))
}

/// Joins tensors of one shape along a new axis.
public func stacked(_ tensors: [Tensor], dim: Int = 0) -> Tensor {
  Tensor(apus_stack(tensors.map(\.raw), Int64(tensors.count), Int64(dim)))
}

internal import CApusTorch

// An empty list of axes means all of them.
extension Tensor {
  /// Sum over axes.
  public func sum(_ dims: [Int] = [], keepDims: Bool = false) -> Tensor {
    reduced(apus_sum, dims, keepDims)
  }

  /// Mean over axes.
  public func mean(_ dims: [Int] = [], keepDims: Bool = false) -> Tensor {
    reduced(apus_mean, dims, keepDims)
  }

  /// Largest element over axes.
  public func max(_ dims: [Int] = [], keepDims: Bool = false) -> Tensor {
    reduced(apus_amax, dims, keepDims)
  }

  /// Smallest element over axes.
  public func min(_ dims: [Int] = [], keepDims: Bool = false) -> Tensor {
    reduced(apus_amin, dims, keepDims)
  }

  /// log Σ eˣ over axes.
  public func logSumExp(_ dims: [Int], keepDims: Bool = false) -> Tensor {
    reduced(apus_logsumexp, dims, keepDims)
  }

  /// Euclidean norm over axes; of all elements, the Frobenius norm of a matrix.
  public func norm(_ dims: [Int] = [], keepDims: Bool = false) -> Tensor {
    reduced(apus_norm, dims, keepDims)
  }

  /// Variance over axes, with `correction` subtracted from the count.
  public func variance(
    _ dims: [Int] = [], correction: Double = 1, keepDims: Bool = false
  ) -> Tensor {
    Tensor(apus_variance(raw, dims.map(Int64.init), Int64(dims.count), correction, keepDims))
  }

  /// Index of the largest element along an axis.
  public func argmax(_ dim: Int, keepDims: Bool = false) -> Tensor {
    Tensor(apus_argmax(raw, Int64(dim), keepDims))
  }

  /// Running sum along an axis.
  public func cumulativeSum(_ dim: Int) -> Tensor { Tensor(apus_cumsum(raw, Int64(dim))) }

  /// Indices that sort an axis, equal elements in their order.
  public func argsort(_ dim: Int = -1, descending: Bool = false) -> Tensor {
    Tensor(apus_argsort(raw, Int64(dim), descending))
  }

  /// The `k` largest elements of an axis and their indices, largest first.
  public func topK(_ k: Int, dim: Int = -1) -> (values: Tensor, indices: Tensor) {
    var values: apus_tensor?
    var indices: apus_tensor?
    _ = apus_topk(raw, Int64(k), Int64(dim), &values, &indices)
    return (Tensor(values), Tensor(indices))
  }

  /// Whether every element is true or not zero.
  public var allTrue: Bool { Tensor(apus_all(raw)).intItem != 0 }

  /// Whether any element is true or not zero.
  public var anyTrue: Bool { Tensor(apus_any(raw)).intItem != 0 }

  private func reduced(
    _ operation: (apus_tensor?, UnsafePointer<Int64>?, Int64, Bool) -> apus_tensor?,
    _ dims: [Int], _ keepDims: Bool
  ) -> Tensor { Tensor(operation(raw, dims.map(Int64.init), Int64(dims.count), keepDims)) }
}

/// Shares along an axis: eˣ / Σ eˣ.
public func softmax(_ x: Tensor, dim: Int = -1) -> Tensor {
  Tensor(apus_softmax(x.raw, Int64(dim)))
}

/// log of ``softmax(_:dim:)``.
public func logSoftmax(_ x: Tensor, dim: Int = -1) -> Tensor {
  Tensor(apus_log_softmax(x.raw, Int64(dim)))
}

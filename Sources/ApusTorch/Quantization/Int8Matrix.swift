/// A matrix of bytes with a scale for each row: the largest of a row is 127 or −127.
///
/// - Source: Dettmers et al., arXiv 2208.07339, §2 (vector-wise quantization of weights).
public struct Int8Matrix: PackedMatrix {
  public let shape: [Int]
  public let dtype: DType
  /// [d_out, d_in] in int8.
  let codes: Tensor
  /// [d_out, 1] in float32.
  let scales: Tensor

  /// Packs a matrix [d_out, d_in]; a row of zeros stays zero.
  public init(_ matrix: Tensor) {
    shape = matrix.shape
    dtype = matrix.dtype
    (codes, scales) = withoutGradient {
      let wide = matrix.detached().to(.float32)
      let largest = wide.magnitude.max([1], keepDims: true)
      let scales = largest / 127
      let divisors = select(largest .> 0, scales, otherwise: scales.onesLike)
      return ((wide / divisors).rounded.to(.int8), scales)
    }
  }

  /// A matrix that was packed elsewhere.
  ///
  /// - Parameters:
  ///   - codes: [d_out, d_in] in int8.
  ///   - scales: [d_out, 1] in float32; an element is its code times its row's scale.
  ///   - dtype: The type that the elements had.
  public init(codes: Tensor, scales: Tensor, dtype: DType) {
    shape = codes.shape
    self.dtype = dtype
    self.codes = codes
    self.scales = scales
  }

  public var byteCount: Int { codes.byteCount + scales.byteCount }

  public func unpacked(_ dtype: DType) -> Tensor {
    withoutGradient { codes.to(dtype) * scales.to(dtype) }
  }
}

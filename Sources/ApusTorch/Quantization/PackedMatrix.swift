/// A frozen matrix in fewer bits than its elements would take.
public protocol PackedMatrix: Sendable {
  /// [d_out, d_in].
  var shape: [Int] { get }
  /// Bytes that it takes, scales included.
  var byteCount: Int { get }
  /// The type that its elements had.
  var dtype: DType { get }
  /// Its elements, nearly as they were [d_out, d_in]; float32 or bfloat16.
  func unpacked(_ dtype: DType) -> Tensor
}

/// How frozen projections are kept.
public enum Quantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// As they are.
  case none
  /// One byte an element, and a scale for each row.
  case int8
  /// Four bits an element, and a scale for each block.
  case nf4

  /// A matrix in this form; nil for ``none``.
  public func packed(_ matrix: Tensor) -> (any PackedMatrix)? {
    switch self {
    case .none: nil
    case .int8: Int8Matrix(matrix)
    case .nf4: NF4Matrix(matrix)
    }
  }
}

/// x·Wᵀ of a packed matrix, which is unpacked for the product and again for its backward.
///
/// - Shapes: x […, d_in], result […, d_out] in the dtype of x.
public func linear(_ x: Tensor, packed weight: any PackedMatrix) -> Tensor {
  customOperation([x]) {
    [linear(x, weight: weight.unpacked(x.dtype))]
  } backward: { gradients in
    [gradients[0].map { matmul($0, weight.unpacked($0.dtype)) }]
  }[0]
}

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
  /// x·Wᵀ, plus a frozen bias [d_out] if there is one: […, d_in] to […, d_out] in the dtype of x.
  ///
  /// It can be differentiated by x any number of times.
  func product(_ x: Tensor, bias: Tensor?) -> Tensor
}

extension PackedMatrix {
  /// Unpacks the matrix for the product, and again for its backward.
  public func product(_ x: Tensor, bias: Tensor?) -> Tensor {
    let product = customOperation([x]) {
      [linear(x, weight: unpacked(x.dtype))]
    } backward: { gradients in
      [gradients[0].map { matmul($0, unpacked($0.dtype)) }]
    }[0]
    return bias.map { product + $0.to(x.dtype) } ?? product
  }
}

/// How frozen projections are kept.
public enum Quantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// As they are.
  case none
  /// One byte an element, and a scale for each row.
  case int8
  /// Four bits an element, and a scale for each block.
  case nf4
  /// One byte an element, as ``int8``, and products of bytes: activations become bytes too.
  case w8a8

  /// A matrix in this form; nil for ``none``.
  public func packed(_ matrix: Tensor) -> (any PackedMatrix)? {
    switch self {
    case .none: nil
    case .int8: Int8Matrix(matrix)
    case .nf4: NF4Matrix(matrix)
    case .w8a8: W8A8Matrix(matrix)
    }
  }
}

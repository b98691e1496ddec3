internal import CApusTorch

/// A matrix of bytes that multiplies bytes: its rows have scales as those of ``Int8Matrix``, and
/// rows of activations get theirs at every product.
///
/// Sums of products are exact integers, so that processors agree on them. The backward to the
/// input is a product of bytes too: gradients are multiplied by the scales of the matrix' rows,
/// then become bytes row by row; rounding counts as the identity. No columns of activations are
/// held out in more digits, as LLM.int8() does where they are large.
///
/// - Source: Dettmers et al., arXiv 2208.07339, §2.1, eq. 3 (vector-wise); Wortsman et al., arXiv
///   2304.13013, §2 (the backward).
public struct W8A8Matrix: PackedMatrix {
  private let matrix: Int8Matrix

  /// Packs a matrix [d_out, d_in]; a row of zeros stays zero.
  public init(_ matrix: Tensor) { self.matrix = Int8Matrix(matrix) }

  public var shape: [Int] { matrix.shape }
  public var dtype: DType { matrix.dtype }
  public var byteCount: Int { matrix.byteCount }
  public func unpacked(_ dtype: DType) -> Tensor { matrix.unpacked(dtype) }

  public func product(_ x: Tensor, bias: Tensor?) -> Tensor {
    guard x.device == .cpu else { return matrix.product(x, bias: bias) }
    return product(x, bias: bias, isTurned: false)
  }

  /// x·Wᵀ + b, or x·W; each is the other's backward.
  private func product(_ x: Tensor, bias: Tensor?, isTurned: Bool) -> Tensor {
    customOperation([x]) {
      [
        Tensor(
          apus_integer_linear(
            x.raw, matrix.codes.raw, matrix.scales.raw, bias?.raw, isTurned))
      ]
    } backward: { gradients in
      [gradients[0].map { product($0, bias: nil, isTurned: !isTurned) }]
    }[0]
  }
}

/// The exact product of codes −127…127: [M, K] and [K, N] in int8 to [M, N] in int32.
///
/// - Parameters:
///   - a: Left.
///   - b: Right.
///   - throughFloats: The way of processors that cannot multiply bytes exactly, also where they can.
/// - Returns: The sums of products.
public func integerProduct(_ a: Tensor, _ b: Tensor, throughFloats: Bool = false) -> Tensor {
  Tensor(apus_integer_product(a.raw, b.raw, throughFloats))
}

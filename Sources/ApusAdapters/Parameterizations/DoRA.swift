internal import ApusBase
public import ApusCore
public import ApusTorch

/// LoRA of a weight's direction, with a length of its own for every output unit.
///
/// V = W0 + s·BA, and W' = diag(m / ‖V‖)·V with the norm of each row. m begins as the norms of W0 and
/// B at zero, so a fresh adapter changes no bit. As the paper proposes, the norm counts as a constant
/// in the backward pass: with c = m / ‖V‖, y = W0x + b0 + (c − 1)⊙W0D(x) + c⊙s·BA D(x). The bias is
/// not scaled.
///
/// The norms come from ‖W0‖² + 2s·B·(A W0ᵀ) + s²·B(AAᵀ)Bᵀ row by row, so that no [d_out, d_in] matrix
/// is made for them. W0D(x) is computed beside the layer's own product, as dropout makes the two
/// differ.
///
/// - Shapes: A [r, d_in], B [d_out, r], m [d_out], input rows [T, d_in], output rows [T, d_out].
/// - Source: Liu et al., arXiv 2402.09353, eq. 5 and section 4.3; file names as in Hugging Face PEFT.
public final class DoRA: Parameterization {
  private let direction: LoRA
  /// ‖W0‖² of each row [d_out].
  private let squares: Tensor
  /// m, a leaf of the graph.
  public let magnitude: Tensor

  /// An adapter that changes nothing yet.
  ///
  /// - Parameters:
  ///   - layer: The layer to adapt, with its weight.
  ///   - rank: r ≥ 1.
  ///   - scaling: s.
  ///   - dropout: Probability on the adapter's branch.
  ///   - random: The site's own stream.
  init(for layer: Linear, rank: Int, scaling: Double, dropout: Double, random: RandomStream) {
    direction = LoRA(
      for: layer, rank: rank, scaling: scaling, dropout: dropout, random: random)
    squares = withoutGradient { layer.weight.value.to(.float32).squared.sum([1]) }
    magnitude = Self.length(squares).requiringGradient()
  }

  public var leaves: [(suffix: String, tensor: Tensor)] {
    direction.leaves + [("lora_magnitude_vector", magnitude)]
  }

  public var rank: Int { direction.rank }

  public var scaling: Double { direction.scaling }

  public func shapes(atRank rank: Int) -> [[Int]]? {
    direction.shapes(atRank: rank).map { $0 + [magnitude.shape] }
  }

  public func resize(toRank rank: Int) { direction.resize(toRank: rank) }

  public func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    let dropped = direction.dropped(input, pass)
    let (weight, dtype) = (layer.weight.value, input.dtype)
    let length = withoutGradient { Self.length(lengthsSquared(of: weight)) }
    let c = magnitude / length  // [d_out]
    let inner = linear(dropped, weight: direction.a.to(dtype))
    let change = linear(inner, weight: direction.b.to(dtype))
    return linear(dropped, weight: weight.to(dtype)) * (c - 1).to(dtype)
      + change * (c * scaling).to(dtype)
  }

  /// ‖V‖² of each row [d_out] through the factors.
  private func lengthsSquared(of weight: Tensor) -> Tensor {
    let (a, b) = (direction.a, direction.b)
    let cross = (b * linear(weight.to(.float32), weight: a)).sum([1])  // B·(A W0ᵀ), row by row
    let own = (b * matmul(b, matmul(a, a.matrixTransposed))).sum([1])  // B(AAᵀ)Bᵀ, row by row
    return squares + cross * (2 * scaling) + own * (scaling * scaling)
  }

  /// The root; what rounding may have made negative, or a row of zeros has, counts as a little.
  private static func length(_ squares: Tensor) -> Tensor {
    withoutGradient { squares.clamped(low: 1e-30).squareRoot }
  }

  public func change(of weight: Tensor) -> Tensor {
    withoutGradient {
      let v = weight.to(.float32) + direction.change(of: weight)
      let length = v.norm([1], keepDims: true).clamped(low: 1e-15)
      return v * (magnitude.unsqueezed(1) / length) - weight.to(.float32)
    }
  }
}

internal import ApusCore
internal import ApusTorch

/// Scales the last axis to mean square 1, then each feature by a factor of its own.
///
/// Computed in float32 whatever the rows are. Nothing but the input is kept for the backward, which
/// a recorded graph would need four more tensors of its size for.
///
/// - Shapes: weight [D], input and output […, D].
/// - Source: Zhang and Sennrich, arXiv 1910.07467, eq. 4.
final class RMSNorm: Module {
  let weight: Parameter
  private let epsilon: Double
  private let offset: Double

  /// A norm without values yet; the factors are offset + weight.
  init(_ size: Int, epsilon: Double, offset: Double = 0) {
    weight = Parameter(size)
    self.epsilon = epsilon
    self.offset = offset
  }

  /// Input and output […, D], in the input's dtype.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let (epsilon, offset) = (epsilon, offset)
    let weight = weight.value
    let factors = { @Sendable in weight.to(.float32) + offset }
    return customOperation([x, weight]) {
      let wide = x.to(.float32)
      return [(wide * Self.scale(wide, epsilon) * factors()).to(x.dtype)]
    } backward: { gradients in
      guard let gradient = gradients[0]?.to(.float32) else { return [nil, nil] }
      let wide = x.to(.float32)
      let scale = Self.scale(wide, epsilon)
      let (unit, pull) = (wide * scale, gradient * factors())
      let along = (unit * pull).mean([-1], keepDims: true)
      let ofInput = (pull - unit * along) * scale
      let axes = Array(0..<(x.rank - 1))
      return [
        ofInput.to(x.dtype),
        weight.requiresGradient ? (gradient * unit).sum(axes).to(weight.dtype) : nil,
      ]
    }[0]
  }

  /// 1 / √(mean of squares + ε) over the last axis […, 1].
  private static func scale(_ x: Tensor, _ epsilon: Double) -> Tensor {
    (x.squared.mean([-1], keepDims: true) + epsilon).inverseSquareRoot
  }
}

internal import ApusCore
internal import ApusTorch

/// A fixed addition to a projection's frozen weight, kept beside it: adds x·Δᵀ to the output.
///
/// Where Δ is kept as factors it acts as such, x·Vᵀ·Uᵀ, and is never formed.
///
/// - Shapes: Δ [d_out, d_in], or U [d_out, m] and V [m, d_in], in float32, input […, d_in], output
///   […, d_out].
final class WeightDelta: ProjectionAdapter {
  /// Under which it acts at its site, beside the trained adapter.
  static let name = "base_delta"

  /// What the input is multiplied by, one after the other.
  private let parts: [Tensor]

  /// The addition of a base delta to one layer's weight; nil if there is none.
  ///
  /// Factors are copied, as the bits of a product can depend on where its operands begin.
  init?(of path: String, in delta: BaseDelta, for layer: Linear) {
    let device = layer.weight.value.device
    if let (u, v) = delta.factors(of: path) {
      parts = [v, u].map { $0.detached().to(.float32, device: device).cloned() }
    } else if let matrix = delta.matrix(of: path) {
      parts = [matrix.detached().to(.float32, device: device)]
    } else {
      return nil
    }
  }

  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    output + parts.reduce(input) { linear($0, weight: $1.to(input.dtype)) }
  }
}

internal import ApusCore
internal import ApusTorch

/// A fixed addition to a projection's frozen weight, kept beside it: adds x·Δᵀ to the output.
///
/// - Shapes: Δ [d_out, d_in] in float32, input […, d_in], output […, d_out].
final class WeightDelta: ProjectionAdapter {
  /// Under which it acts at its site, beside the trained adapter.
  static let name = "base_delta"

  private let delta: Tensor

  /// The addition of this matrix to a layer's weight.
  init(_ delta: Tensor, for layer: Linear) {
    self.delta = delta.detached().to(.float32, device: layer.weight.value.device)
  }

  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    output + linear(input, weight: delta.to(input.dtype))
  }
}

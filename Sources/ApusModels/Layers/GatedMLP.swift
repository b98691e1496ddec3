internal import ApusCore
internal import ApusTorch

/// The feed-forward sublayer with a gate: down(act(gate(x)) · up(x)).
///
/// - Shapes: T rows, D hidden size, I intermediate size.
/// - Source: Shazeer, arXiv 2002.05202, eq. 6.
final class GatedMLP: Module {
  let gate_proj: ProjectionSite
  let up_proj: ProjectionSite
  let down_proj: ProjectionSite
  private let activation: Activation

  init(_ size: Int, _ inner: Int, bias: Bool, activation: Activation) {
    gate_proj = ProjectionSite(size, inner, bias: bias)
    up_proj = ProjectionSite(size, inner, bias: bias)
    down_proj = ProjectionSite(inner, size, bias: bias)
    self.activation = activation
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let gate = activation(gate_proj(rows, pass.scoped("gate_proj")))
    return down_proj(gate * up_proj(rows, pass.scoped("up_proj")), pass.scoped("down_proj"))
  }
}

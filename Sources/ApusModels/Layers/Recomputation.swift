internal import ApusCore
internal import ApusTorch

/// A block that keeps its input alone and is computed again in the backward pass.
///
/// Memory for one block's activations instead of all, for one more forward pass. The bits are the
/// same: the draws of dropout are named by the pass, so they come out as before.
///
/// - Source: Chen et al., arXiv 1604.06174.
struct Recomputation: @unchecked Sendable {
  // Unchecked: libtorch runs the backward of a graph on the processor in the thread that asks for
  // it, which is the one that made the graph, so nothing of the model crosses threads.
  private let block: (_ rows: Tensor, _ pass: ForwardPass) -> Tensor
  private let pass: ForwardPass
  private let leaves: [Tensor]

  /// A block of this pass; nil if the pass keeps activations, or records no graph.
  init?(_ pass: ForwardPass, _ block: @escaping (Tensor, ForwardPass) -> Tensor) {
    guard let leaves = pass.recomputedLeaves, isRecordingGradient else { return nil }
    var inner = pass
    inner.recomputedLeaves = nil
    self.pass = inner
    self.block = block
    self.leaves = leaves.filter(\.requiresGradient)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor) -> Tensor {
    customOperation([rows] + leaves) {
      [block(rows, pass)]
    } backward: { gradients in
      guard let gradient = gradients[0] else { return [nil] + leaves.map { _ in nil } }
      let entrance = rows.requiringGradient()
      let again = withGradient { block(entrance, pass) }
      return Tensor.gradients(of: [again], seeds: [gradient], by: [entrance] + leaves)
    }[0]
  }
}

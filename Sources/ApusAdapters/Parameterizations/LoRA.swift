internal import ApusBase
public import ApusCore
public import ApusTorch

/// Low-rank adapter of one projection site: adds s·BAx to what the frozen layer returns, or
/// s·B·diag(λ)·A·x if its ranks have factors.
///
/// A starts random and B starts at zero, so a fresh adapter changes no bit of the model's output.
/// The factors are float32; beside bfloat16 activations they are rounded for each use.
///
/// - Shapes: A [r, d_in], B [d_out, r], input rows [T, d_in], output rows [T, d_out].
/// - Source: Hu et al., arXiv 2106.09685, eq. 3; start values as Hugging Face PEFT draws them.
public final class LoRA: Parameterization {
  /// A, a leaf of the graph.
  public private(set) var a: Tensor
  /// B, a leaf of the graph.
  public private(set) var b: Tensor
  /// s = alpha / r, or alpha / √r when stabilized for the rank.
  public private(set) var scaling: Double
  private let configuredScaling: Double
  /// λ [r], a factor for each rank; nil for ones.
  var diagonal: Tensor?
  private let dropout: Dropout

  /// An adapter with start values: A uniform in ±1/√d_in, B zero.
  ///
  /// - Parameters:
  ///   - layer: The layer to adapt, for its lengths and its device.
  ///   - rank: r ≥ 1.
  ///   - scaling: s.
  ///   - dropout: Probability on the adapter's branch.
  ///   - random: The site's own stream.
  init(for layer: Linear, rank: Int, scaling: Double, dropout: Double, random: RandomStream) {
    var stream = random
    let bound = 1 / Double(layer.inputs).squareRoot()
    let device = layer.weight.value.device
    a = Tensor.uniform([rank, layer.inputs], low: -bound, high: bound, stream: &stream)
      .to(device: device).requiringGradient()
    b = Tensor.zeros([layer.outputs, rank], device: device).requiringGradient()
    self.scaling = scaling
    configuredScaling = scaling
    self.dropout = Dropout(dropout)
  }

  public var leaves: [(suffix: String, tensor: Tensor)] {
    [("lora_A.weight", a), ("lora_B.weight", b)]
  }

  /// A and B·diag(λ), as files know no factors of ranks.
  public var stored: [(suffix: String, tensor: Tensor)] {
    guard let diagonal else { return leaves }
    return [("lora_A.weight", a), ("lora_B.weight", withoutGradient { b * diagonal })]
  }

  public var rank: Int { a.size(0) }

  public var factors: (a: String, b: String, scaling: Double)? {
    ("lora_A.weight", "lora_B.weight", scaling)
  }

  public func shapes(atRank rank: Int) -> [[Int]]? {
    rank >= 1 ? [[rank, a.size(1)], [b.size(0), rank]] : nil
  }

  public func resize(toRank rank: Int) {
    a = Tensor.zeros([rank, a.size(1)], device: a.device).requiringGradient()
    b = Tensor.zeros([b.size(0), rank], device: b.device).requiringGradient()
  }

  /// Sets s; nil for that of the configuration.
  func rescale(_ scaling: Double?) { self.scaling = scaling ?? configuredScaling }

  public func adapted(
    _ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass
  ) -> Tensor {
    let b = b.to(input.dtype)
    return addmm(output, inner(input, pass), b.matrixTransposed, alpha: scaling)
  }

  public func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    linear(inner(input, pass), weight: b.to(input.dtype)) * scaling
  }

  /// diag(λ) A D(x) [T, r].
  private func inner(_ input: Tensor, _ pass: ForwardPass) -> Tensor {
    let inner = linear(dropped(input, pass), weight: a.to(input.dtype))
    return diagonal.map { inner * $0.to(input.dtype) } ?? inner
  }

  /// D(x).
  func dropped(_ input: Tensor, _ pass: ForwardPass) -> Tensor { dropout(input, pass, "lora") }

  public func change(of weight: Tensor) -> Tensor {
    withoutGradient { matmul(diagonal.map { b * $0 } ?? b, a) * scaling }
  }
}

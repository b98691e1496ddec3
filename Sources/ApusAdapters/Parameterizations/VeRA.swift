public import ApusBase
public import ApusCore
public import ApusTorch

/// The random, frozen matrices that all VeRA adapters of a model share.
///
/// Both are drawn, A first, from one generator that starts from a seed, uniformly in ±√(6 / fan-in):
/// the numbers that Hugging Face PEFT draws from the same seed.
///
/// - Shapes: A [r, max d_in], B [max d_out, r].
public final class VeRAProjections {
  /// A.
  public let a: Tensor
  /// B.
  public let b: Tensor

  /// The matrices of a seed, for sites of at most these lengths.
  ///
  /// - Parameters:
  ///   - rank: r ≥ 1.
  ///   - inputs: The largest d_in.
  ///   - outputs: The largest d_out.
  ///   - seed: On which all clients agree, so that nothing of it is ever sent.
  ///   - device: Where the model computes; the numbers are drawn on the CPU.
  init(rank: Int, inputs: Int, outputs: Int, seed: UInt64, device: Device) {
    // One draw of both, once within each one's bounds: a number takes the generator one step on
    // whatever its bounds are.
    let (first, all) = (rank * inputs, rank * inputs + outputs * rank)
    let draw = { (fanIn: Int) in
      let bound = 3.0.squareRoot() * (2.0.squareRoot() / Double(fanIn).squareRoot())
      return Tensor.uniform([all], low: -bound, high: bound, pythonSeed: seed)
    }
    a = draw(inputs).sliced(0, 0..<first).reshaped([rank, inputs]).cloned().to(device: device)
    b = draw(rank).sliced(0, first..<all).reshaped([outputs, rank]).cloned().to(device: device)
  }

  /// By the names that a file gives them.
  var named: [(name: String, tensor: Tensor)] {
    [("base_model.vera_A", a), ("base_model.vera_B", b)]
  }
}

/// A diagonal on either side of two random matrices: adds b ⊙ (B (d ⊙ (A x))) to a projection.
///
/// Only the vectors d and b train. b begins at zero, so a fresh adapter changes no bit. There is no
/// alpha: the scaling is learned.
///
/// - Shapes: d [r], b [d_out], A [r, d_in] and B [d_out, r] cut from the shared matrices.
/// - Source: Kopiczko et al., arXiv 2310.11454, eq. 2; start values as in Hugging Face PEFT.
public final class VeRA: Parameterization {
  /// d, a leaf of the graph.
  public let d: Tensor
  /// b, a leaf of the graph.
  public let b: Tensor
  /// A and B, one pair for all sites.
  public let projections: VeRAProjections
  private let inputs: Int
  private let dropout: Dropout
  private let isStored: Bool

  /// An adapter that changes nothing yet.
  ///
  /// - Parameters:
  ///   - layer: The layer to adapt, for its lengths.
  ///   - projections: Shared by all sites, of at least its lengths.
  ///   - options: Start value of d, and whether files hold the shared matrices.
  ///   - dropout: Probability on the adapter's branch.
  init(
    for layer: Linear, sharing projections: VeRAProjections, _ options: VeRAOptions,
    dropout: Double
  ) {
    let device = projections.a.device
    d = Tensor.full([projections.a.size(0)], options.initialD).to(device: device)
      .requiringGradient()
    b = Tensor.zeros([layer.outputs], device: device).requiringGradient()
    inputs = layer.inputs
    self.projections = projections
    self.dropout = Dropout(dropout)
    isStored = options.storesProjections
  }

  public var leaves: [(suffix: String, tensor: Tensor)] {
    [("vera_lambda_b", b), ("vera_lambda_d", d)]
  }

  public var shared: [(name: String, tensor: Tensor)] { isStored ? projections.named : [] }

  public var rank: Int { d.size(0) }

  public var scaling: Double { 1 }

  private var down: Tensor { projections.a.sliced(1, 0..<inputs) }
  private var up: Tensor { projections.b.sliced(0, 0..<b.size(0)) }

  public func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    let dtype = input.dtype
    let inner = linear(dropout(input, pass, "vera"), weight: down.to(dtype)) * d.to(dtype)
    return linear(inner, weight: up.to(dtype)) * b.to(dtype)
  }

  public func change(of weight: Tensor) -> Tensor {
    withoutGradient { matmul(up * b.unsqueezed(1), down * d.unsqueezed(1)) }
  }
}

/// How VeRA begins, and what its files hold.
public struct VeRAOptions: OptionGroup, Equatable {
  /// Start value of every element of d.
  public var initialD = 0.1
  /// Seed of the shared matrices A and B.
  public var projectionSeed: UInt64 = 0
  /// Whether adapter folders hold A and B; otherwise whoever opens one draws them again.
  public var storesProjections = true

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      initialD.isFinite && initialD != 0, "initial-d", "with \(initialD) nothing would learn",
      remedy: "Give a number such as 0.1")
  }
}

public import ApusBase
public import ApusCore
public import ApusTorch

/// A low-rank change in the form of a singular value decomposition: adds s·P diag(E) Q x.
///
/// Every triplet (a column of P, an element of E, a row of Q) can be switched off by a zero in E;
/// ``AdaLoRAAllocator`` decides which are worth their place. E begins at zero, so a fresh adapter
/// changes no bit. s = alpha / (r + 10⁻⁵) with the rank r of the beginning, also when triplets are
/// gone.
///
/// - Shapes: P [d_out, r], E [r, 1], Q [r, d_in], input rows [T, d_in], output rows [T, d_out].
/// - Source: Zhang et al., arXiv 2303.10512, eq. 3; start values and names as in Hugging Face PEFT,
///   which calls P `lora_B` and Q `lora_A`.
public final class AdaLoRA: Parameterization {
  /// P, a leaf of the graph.
  public private(set) var p: Tensor
  /// E, a leaf of the graph.
  public private(set) var e: Tensor
  /// Q, a leaf of the graph.
  public private(set) var q: Tensor
  public let scaling: Double
  private let dropout: Dropout

  /// An adapter that changes nothing yet: P and Q normal with deviation 0.02, E zero.
  ///
  /// - Parameters:
  ///   - layer: The layer to adapt, for its lengths and its device.
  ///   - rank: Triplets that it has, r or fewer.
  ///   - startRank: r, to which the scaling belongs.
  ///   - alpha: Numerator of the scaling.
  ///   - dropout: Probability on the adapter's branch.
  ///   - random: The site's own stream.
  init(
    for layer: Linear, rank: Int, of startRank: Int, alpha: Double, dropout: Double,
    random: RandomStream
  ) {
    var (left, right) = (random.substream("p"), random.substream("q"))
    let device = layer.weight.value.device
    p = Tensor.normal([layer.outputs, rank], deviation: 0.02, stream: &left).to(device: device)
      .requiringGradient()
    q = Tensor.normal([rank, layer.inputs], deviation: 0.02, stream: &right).to(device: device)
      .requiringGradient()
    e = Tensor.zeros([rank, 1], device: device).requiringGradient()
    scaling = alpha / (Double(startRank) + 1e-5)
    self.dropout = Dropout(dropout)
  }

  public var leaves: [(suffix: String, tensor: Tensor)] {
    [("lora_A", q), ("lora_B", p), ("lora_E", e)]
  }

  public var rank: Int { e.size(0) }

  /// The triplets that act, or all if none does: a file without any is of no use to PEFT.
  public var stored: [(suffix: String, tensor: Tensor)] {
    let values = e.doubles
    let kept = values.indices.filter { values[$0] != 0 }
    guard !kept.isEmpty else { return leaves }
    let rows = Tensor(kept, shape: [kept.count]).to(device: e.device)
    return [
      ("lora_A", q.indexSelected(0, rows)), ("lora_B", p.indexSelected(1, rows)),
      ("lora_E", e.indexSelected(0, rows)),
    ]
  }

  public var storedRank: Int { stored[0].tensor.size(0) }

  public func shapes(atRank rank: Int) -> [[Int]]? {
    [[rank, q.size(1)], [p.size(0), rank], [rank, 1]]
  }

  public func resize(toRank rank: Int) {
    q = Tensor.zeros([rank, q.size(1)], device: q.device).requiringGradient()
    p = Tensor.zeros([p.size(0), rank], device: p.device).requiringGradient()
    e = Tensor.zeros([rank, 1], device: e.device).requiringGradient()
  }

  public func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    let inner = linear(dropout(input, pass, "lora"), weight: (q * e).to(input.dtype))
    return linear(inner, weight: p.to(input.dtype)) * scaling
  }

  public func change(of weight: Tensor) -> Tensor {
    withoutGradient { matmul(p, q * e) * scaling }
  }

  /// ‖PᵀP − I‖ and ‖QQᵀ − I‖, Frobenius norms on the graph.
  var orthogonalityGaps: [Tensor] {
    guard rank > 0 else { return [.zeros([], device: p.device), .zeros([], device: p.device)] }
    let identity = Tensor.range(0, rank).oneHot(classes: rank).to(.float32, device: p.device)
    return [matmul(p.matrixTransposed, p), matmul(q, q.matrixTransposed)]
      .map { ($0 - identity).norm() }
  }
}

/// The budget of AdaLoRA and how importance is measured.
public struct AdaLoRAOptions: OptionGroup, Equatable {
  /// Rank of every site at the beginning; nothing for one and a half times the final rank.
  public var initialRank: Int?
  /// Share of all steps, at their beginning, with the whole budget.
  public var initialShare = 0.1
  /// Share of all steps, at their end, with the final budget and fixed triplets.
  public var finalShare = 0.3
  /// Steps between two allocations of the budget, Δ_T ≥ 1.
  public var interval = 1
  /// β₁, of the moving average of sensitivities.
  public var beta1 = 0.85
  /// β₂, of the moving average of their uncertainty.
  public var beta2 = 0.85
  /// γ, weight of the penalty that keeps P and Q orthogonal.
  public var orthogonality = 0.5
  /// T, all steps of the run; nothing for rounds × local steps.
  public var totalSteps: Int?

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      (initialRank ?? 1) >= 1, "initial-rank", "\(initialRank ?? 1) is no rank",
      remedy: "Give a number of at least the final rank")
    for (name, share) in [("initial-share", initialShare), ("final-share", finalShare)] {
      try require(
        (0..<1).contains(share), name, "\(share) is no share", remedy: "Give a number in 0..<1")
    }
    try require(
      initialShare + finalShare < 1, "final-share",
      "with initial-share \(initialShare) nothing is left between beginning and end",
      remedy: "Let the two shares add up to less than 1")
    try require(interval >= 1, "interval", "\(interval) is below 1", remedy: "Give a number ≥ 1")
    for (name, beta) in [("beta1", beta1), ("beta2", beta2)] {
      try require(
        beta > 0 && beta < 1, name, "\(beta) is no factor of a moving average",
        remedy: "Give a number between 0 and 1, such as 0.85")
    }
    try require(
      orthogonality >= 0 && orthogonality.isFinite, "orthogonality",
      "\(orthogonality) is no weight of a penalty", remedy: "Give γ > 0, or 0 for none")
    try require(
      (totalSteps ?? 1) >= 1, "total-steps", "\(totalSteps ?? 1) is below 1",
      remedy: "Give a number ≥ 1, or nothing for rounds × local steps")
  }
}

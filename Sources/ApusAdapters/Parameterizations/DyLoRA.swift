public import ApusBase
public import ApusCore
public import ApusTorch

/// A LoRA whose first b rows and columns are an adapter by themselves, for every b up to its rank.
///
/// Each training step draws one b for all sites and uses the first b rows of A and columns of B, with
/// the scaling alpha / b. What was learned can be cut to any rank afterwards, without training again.
///
/// - Shapes: A [R, d_in], B [d_out, R], input rows [T, d_in], output rows [T, d_out].
/// - Source: Valipour et al., arXiv 2210.07558, eq. 6 and Algorithm 1.
public final class DyLoRA: Parameterization {
  private let whole: LoRA
  private let alpha: Double
  /// The rank at which it is used outside of training.
  let standardWidth: Int
  /// b, the rank in use, from 1 to R.
  var width: Int

  /// An adapter with the start values of a LoRA.
  ///
  /// - Parameters:
  ///   - layer: The layer to adapt.
  ///   - rank: R ≥ 1.
  ///   - scaling: That of the whole rank, alpha / R.
  ///   - width: The rank outside of training; nil for R.
  ///   - dropout: Probability on the adapter's branch.
  ///   - random: The site's own stream.
  init(
    for layer: Linear, rank: Int, scaling: Double, width: Int?, dropout: Double,
    random: RandomStream
  ) {
    whole = LoRA(for: layer, rank: rank, scaling: scaling, dropout: dropout, random: random)
    alpha = scaling * Double(rank)
    standardWidth = min(width ?? rank, rank)
    self.width = standardWidth
  }

  public var leaves: [(suffix: String, tensor: Tensor)] { whole.leaves }

  /// The first b rows and columns: an ordinary LoRA of that rank.
  public var stored: [(suffix: String, tensor: Tensor)] {
    let (a, b) = factorsInUse
    return [("lora_A.weight", a.contiguous()), ("lora_B.weight", b.contiguous())]
  }

  public var rank: Int { whole.rank }

  public var storedRank: Int { width }

  /// alpha / b.
  public var scaling: Double { alpha / Double(width) }

  /// Those of the whole adapter: what servers combine.
  public var factors: (a: String, b: String, scaling: Double)? { whole.factors }

  private var factorsInUse: (a: Tensor, b: Tensor) {
    (whole.a.sliced(0, 0..<width), whole.b.sliced(1, 0..<width))
  }

  public func adapted(
    _ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass
  ) -> Tensor {
    let (a, b) = factorsInUse
    let inner = linear(whole.dropped(input, pass), weight: a.to(input.dtype))
    return addmm(output, inner, b.to(input.dtype).matrixTransposed, alpha: scaling)
  }

  public func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    let (a, b) = factorsInUse
    let inner = linear(whole.dropped(input, pass), weight: a.to(input.dtype))
    return linear(inner, weight: b.to(input.dtype)) * scaling
  }

  public func change(of weight: Tensor) -> Tensor {
    let (a, b) = factorsInUse
    return withoutGradient { matmul(b, a) * scaling }
  }

  /// Masks for one row of A and column of B, or for all up to it.
  func masks(_ rows: Range<Int>, _ extent: StepMask.Extent) -> [StepMask] {
    let row = Tensor.range(0, rank)
    let allowed = (row .>= Double(rows.lowerBound)) .& (row .< Double(rows.upperBound))
    let mask = allowed.to(.float32, device: whole.a.device)
    return [StepMask(mask.unsqueezed(1), extent), StepMask(mask.unsqueezed(0), extent)]
  }
}

/// What of a DyLoRA adapter a step trains, and how it is used afterwards.
public struct DyLoRAOptions: OptionGroup, Equatable {
  /// What moves in a step that drew the rank b.
  public enum Trained: String, Codable, Sendable, CaseIterable {
    /// The b-th row of A and column of B alone, as in the paper.
    case last
    /// They alone have a gradient, but momentum and weight decay of the optimizer move the others
    /// too, as in the authors' code.
    case lastGradient = "last-gradient"
    /// All rows and columns up to the b-th.
    case upTo = "up-to"
  }

  /// What moves in a step.
  public var trains = Trained.last
  /// Rank at which the adapter is evaluated, merged and written; nothing for its whole rank.
  public var width: Int?

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      (width ?? 1) >= 1, "width", "\(width ?? 1) is no rank",
      remedy: "Give a number from 1 to the adapter's rank")
  }
}

/// Draws the rank of every training step, one for all sites, and lets only its share of them move.
///
/// - Source: Valipour et al., arXiv 2210.07558, Algorithm 1, with the uniform distribution.
final class DyLoRASteps: StepHook {
  private let sites: [(adapter: DyLoRA, names: [String])]
  private let trained: DyLoRAOptions.Trained
  private var width = 1

  init(_ sites: [(adapter: DyLoRA, names: [String])], _ options: DyLoRAOptions) {
    self.sites = sites
    trained = options.trains
  }

  func beforeStep(_ step: LocalStep) {
    var stream = step.random.substream("dylora")
    let highest = sites.map(\.adapter.rank).max() ?? 1
    width = 1 + stream.integer(below: highest)
    for (adapter, _) in sites { adapter.width = min(width, adapter.rank) }
  }

  func masks(_ step: LocalStep) -> [String: StepMask] {
    var masks: [String: StepMask] = [:]
    for (adapter, names) in sites {
      let last = adapter.width
      let own =
        switch trained {
        case .last: adapter.masks((last - 1)..<last, .update)
        case .lastGradient: adapter.masks((last - 1)..<last, .gradient)
        case .upTo: adapter.masks(0..<last, .update)
        }
      for (name, mask) in zip(names, own) { masks[name] = mask }
    }
    return masks
  }

  func end(_ phase: LocalPhase) {
    for (adapter, _) in sites { adapter.width = adapter.standardWidth }
  }
}

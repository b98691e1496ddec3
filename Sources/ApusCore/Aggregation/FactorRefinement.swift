public import ApusBase
public import ApusTorch

/// Corrects an averaged factor B̄ so that (B̄ + ΔB)Ā points to the mean of the products, near B̄.
///
/// Minimises 1 − cos(ΔW, (B̄ + ΔB)Ā) plus a penalty on ΔB by gradient descent. The iterates stay in
/// the span of B̄, of M = ΔW·Āᵀ and of the start, so what is iterated are coefficients of r columns
/// each, and every step costs O(r³), whatever the size of the weight and the number of clients.
///
/// - Shapes: Ā [r, d_in], B̄, ΔB and M [d_out, r], ΔW = Σ pₖBₖAₖ [d_out, d_in], never formed.
/// - Source: Bian et al., arXiv 2411.14961; the gradient in factors as in the project's card.
public struct FactorRefinement: OptionGroup, Equatable {
  /// How closeness to ΔW is measured.
  public enum Objective: String, Codable, Sendable, CaseIterable {
    /// The cosine between the matrices, by gradient descent.
    case cosine
    /// The distance between the matrices, solved in closed form with λ‖ΔB‖².
    case frobenius
  }

  /// What keeps ΔB small.
  public enum Penalty: String, Codable, Sendable, CaseIterable {
    /// λ‖ΔB‖², as published code has it.
    case squared
    /// λ‖ΔB‖, as the paper prints it; with a usual λ it holds ΔB at zero.
    case norm
  }

  /// Where gradient descent starts.
  public enum Start: String, Codable, Sendable, CaseIterable {
    /// ΔB = 0.
    case zeros
    /// ΔB uniform in ±√(6 / (d_out + r)), which only a λ near 1 makes up for.
    case xavier
  }

  /// What is minimised.
  public var objective = Objective.cosine
  /// What is added to it.
  public var penalty = Penalty.squared
  /// λ ≥ 0.
  public var strength = 0.01
  /// Where descent starts.
  public var start = Start.zeros
  /// Step length of the descent.
  public var learningRate = 0.01
  /// Number of steps.
  public var steps = 1_000

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      strength >= 0 && strength.isFinite, "strength", "\(strength) is no weight of a penalty",
      remedy: "Give a number ≥ 0, such as 0.01")
    try require(
      learningRate > 0 && learningRate.isFinite, "learning-rate", "\(learningRate) is no rate",
      remedy: "Give a number > 0")
    try require(steps >= 0, "steps", "\(steps) is negative", remedy: "Give a number ≥ 0")
    try require(
      penalty == .norm || 2 * learningRate * strength < 1, "strength",
      "steps of \(learningRate) with a penalty of \(strength) diverge",
      remedy: "Keep 2 · learning-rate · strength below 1")
    try require(
      objective == .cosine || (penalty == .squared && start == .zeros), "objective",
      "the closed form has a squared penalty and no start",
      remedy: "Leave penalty and start as they are, or use the cosine")
  }

  /// ΔB of one site.
  ///
  /// - Parameters:
  ///   - b: B̄.
  ///   - a: Ā.
  ///   - ideal: ΔW; a common factor of it has no influence on the cosine.
  ///   - random: Chance for a start that is not zero.
  /// - Returns: ΔB [d_out, r] in float64; zeros where nothing points anywhere, n·m < 1e-12.
  /// - Complexity: O(d_out·r² + steps·r³), and that of ``FactoredSum/norm`` once.
  public func correction(
    of b: Tensor, a: Tensor, towards ideal: FactoredSum, random: RandomStream
  ) -> Tensor {
    let (b, a) = (b.detached().to(.float64), a.detached().to(.float64))
    guard let projected = ideal.times(transposed: a) else { return b.zerosLike }
    let gram = matmul(a, a.matrixTransposed)  // G = ĀĀᵀ [r, r]
    if objective == .frobenius {
      return matmul(projected - matmul(b, gram), inverse(of: gram, plus: strength))
    }
    var blocks = [b, projected]  // Z = [B̄, M, ΔB₀]
    if start == .xavier {
      var stream = random
      let bound = (6 / Double(b.size(0) + b.size(1))).squareRoot()
      blocks.append(
        Tensor.uniform(b.shape, low: -bound, high: bound, stream: &stream, dtype: .float64))
    }
    let basis = concatenated(blocks, dim: 1)
    let coefficients = Descent(
      gram: gram, basis: matmul(basis.matrixTransposed, basis), length: ideal.norm, options: self
    ).run()
    return coefficients.map { matmul(basis, $0) } ?? b.zerosLike
  }

  /// (G + λI)⁻¹; for λ = 0 the pseudo-inverse.
  private func inverse(of gram: Tensor, plus strength: Double) -> Tensor {
    let (values, vectors) = symmetricEigen(gram)
    let highest = values.doubles.last ?? 0
    let inverted = values.doubles.map { value in
      value > 1e-12 * highest || strength > 0 ? 1 / (max(0, value) + strength) : 0
    }
    return matmul(
      vectors * Tensor(inverted, shape: [1, inverted.count]), vectors.matrixTransposed)
  }
}

/// Gradient descent on the coefficients C of ΔB = Z·C, with B̄ + ΔB = Z·(C + E₁) and M = Z·E₂.
///
/// - Shapes: C [m, r] for m = 2r or 3r columns of Z, S = ZᵀZ [m, m], G [r, r]; E₁ and E₂ [m, r]
///   are the first and the second r columns of the identity.
private struct Descent {
  let gram: Tensor
  let basis: Tensor
  let length: Double
  let options: FactorRefinement
  private let first: Tensor
  private let second: Tensor

  init(gram: Tensor, basis: Tensor, length: Double, options: FactorRefinement) {
    (self.gram, self.basis, self.length, self.options) = (gram, basis, length, options)
    let (rank, count) = (gram.size(0), basis.size(0))
    let identity = Tensor.range(0, count).oneHot(classes: count).to(.float64)
    first = identity.sliced(1, 0..<rank)
    second = identity.sliced(1, rank..<(2 * rank))
  }

  /// C after all steps; nil if there is no direction to follow.
  func run() -> Tensor? {
    let rank = gram.size(0)
    var change = first.zerosLike
    if basis.size(0) > 2 * rank {  // ΔB₀ is the third block
      let identity = Tensor.range(0, basis.size(0)).oneHot(classes: basis.size(0)).to(.float64)
      change = identity.sliced(1, (2 * rank)..<(3 * rank))
    }
    for _ in 0..<options.steps {
      let whole = change + first
      let spread = matmul(basis, whole)  // S(C + E₁)
      let turned = matmul(whole, gram)
      let square = (spread * turned).sum().item  // n² = ⟨B′G, B′⟩
      let n = max(0, square).squareRoot()
      guard n * length > 1e-12 else { return nil }
      let cosine = (second * spread).sum().item / (n * length)  // c = ⟨M, B′⟩ / nm
      // ∂(1 − c)/∂B′ = c·B′G/n² − M/(nm)
      var gradient = turned * (cosine / (n * n)) - second * (1 / (n * length))
      if options.penalty == .squared { gradient = gradient + change * (2 * options.strength) }
      change = change - gradient * options.learningRate
      if options.penalty == .norm { change = change * shrinkage(of: change) }
    }
    return change
  }

  /// The proximal step of λ‖ΔB‖, which ends at exactly zero where the gradient is at most λ.
  private func shrinkage(of change: Tensor) -> Double {
    let norm = max(0, (matmul(basis, change) * change).sum().item).squareRoot()
    let step = options.learningRate * options.strength
    return norm > step ? 1 - step / norm : 0
  }
}

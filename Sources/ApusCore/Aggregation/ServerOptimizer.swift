public import ApusBase
internal import ApusTorch

/// The server's update rule and its constants.
public struct ServerOptimizerConfiguration: OptionGroup, Equatable {
  /// FedAvg and its relatives.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    case fedavg
    case fedavgm
    case fedadagrad
    case fedadam
    case fedyogi
  }

  /// Which rule.
  public var kind = Kind.fedavg
  /// η_s.
  public var learningRate = 1.0
  /// β of FedAvgM.
  public var momentum = 0.9
  /// β1 of the adaptive rules.
  public var beta1 = 0.9
  /// β2 of FedAdam and FedYogi.
  public var beta2 = 0.99
  /// τ, which bounds the adaptivity; v starts at τ².
  public var tau = 1e-3

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      learningRate > 0 && learningRate.isFinite, "learning-rate", "\(learningRate) is no rate",
      remedy: "Give a number > 0")
    for (name, value) in [("momentum", momentum), ("beta1", beta1), ("beta2", beta2)] {
      try require(
        (0..<1).contains(value), name, "\(value) is out of range", remedy: "Give 0 ≤ β < 1")
    }
    try require(
      tau > 0 && tau.isFinite, "tau", "\(tau) is no positive number",
      remedy: "Give a number > 0, such as 1e-3")
  }
}

/// Moves the global tensors along the clients' mean change.
///
/// With the pseudo-gradient Δ̄ = mean − φ, in ascent form and without bias correction:
/// FedAvg φ + η_s·Δ̄ · FedAvgM m ← βm + Δ̄, φ + η_s·m · adaptive rules m ← β1·m + (1 − β1)·Δ̄ and
/// φ + η_s·m / (√v + τ), where FedAdagrad v ← v + Δ̄², FedAdam v ← β2·v + (1 − β2)·Δ̄²,
/// FedYogi v ← v − (1 − β2)·Δ̄²·sign(v − Δ̄²). A tensor whose shape changed starts anew.
///
/// - Source: Reddi et al., arXiv 2003.00295, Algorithm 2; Hsu et al., arXiv 1909.06335.
public struct ServerOptimizer: Sendable {
  private let configuration: ServerOptimizerConfiguration
  private var moments: NamedTensors  // "m/name" and "v/name"

  /// A rule that has seen nothing yet.
  public init(_ configuration: ServerOptimizerConfiguration) {
    self.configuration = configuration
    moments = NamedTensors()
  }

  /// φ after a step towards `mean`; FedAvg with η_s = 1 gives `mean` itself, bit for bit.
  ///
  /// - Parameters:
  ///   - global: φ, as the round began.
  ///   - mean: The clients' mean; what it lacks stays.
  ///   - scale: Factor on Δ̄; the round's ``Round/stepScale``.
  /// - Returns: The new φ.
  public mutating func step(
    _ global: NamedTensors, towards mean: NamedTensors, scale: Double = 1
  ) -> NamedTensors {
    let isPlain = configuration.kind == .fedavg && configuration.learningRate * scale == 1
    guard !isPlain else { return mean }
    var result = global
    var moved = moments
    for (name, value) in global {
      guard let target = mean[name] else { continue }
      let change = target - value
      let delta = scale == 1 ? change : change * scale
      switch configuration.kind {
      case .fedavg: result[name] = value + delta * configuration.learningRate
      case .fedavgm:
        let former = moment("m/\(name)", like: value) ?? value.zerosLike
        let m = former * configuration.momentum + delta
        moved["m/\(name)"] = m
        result[name] = value + m * configuration.learningRate
      case .fedadagrad, .fedadam, .fedyogi:
        let m =
          (moment("m/\(name)", like: value) ?? value.zerosLike) * configuration.beta1
          + delta * (1 - configuration.beta1)
        let tau = configuration.tau
        let former = moment("v/\(name)", like: value) ?? value.onesLike * (tau * tau)
        let v = second(former, delta.squared)
        moved["m/\(name)"] = m
        moved["v/\(name)"] = v
        result[name] = value + m / (v.squareRoot + tau) * configuration.learningRate
      }
    }
    moments = moved
    return result
  }

  /// A moment, unless its tensor has changed its shape since, as by another rank.
  private func moment(_ name: String, like value: Tensor) -> Tensor? {
    moments[name].flatMap { $0.shape == value.shape ? $0 : nil }
  }

  /// v after seeing Δ̄².
  private func second(_ v: Tensor, _ square: Tensor) -> Tensor {
    let fresh = 1 - configuration.beta2
    return switch configuration.kind {
    case .fedadagrad: v + square
    case .fedyogi: v - square * (v - square).sign * fresh
    default: v * configuration.beta2 + square * fresh
    }
  }

  /// The moments, by name, for a snapshot.
  public var state: NamedTensors { moments }

  /// Goes on from moments of a snapshot.
  public mutating func restore(_ state: NamedTensors) { moments = state }
}

public import ApusBase
internal import Foundation

/// How the learning rate goes over the steps of a training: up during warm-up, then down.
///
/// - Source: the functions `get_*_schedule*` of Hugging Face transformers.
public struct LearningRateSchedule: Sendable, Hashable {
  /// What happens after the warm-up.
  public enum Decay: Sendable, Hashable {
    /// Stays at 1.
    case constant
    /// Falls in a straight line to 0.
    case linear
    /// Falls along half a cosine to 0, or along `cycles` of them: ½(1 + cos 2π·cycles·x).
    case cosine(cycles: Double)
    /// Falls to `end` as (1 − x)^power.
    case polynomial(power: Double, end: Double)
  }

  /// How long the factor rises from 0 to 1.
  public enum Warmup: Sendable, Hashable {
    /// For a number of steps.
    case steps(Int)
    /// For a share of all steps, rounded up; 0…1.
    case share(Double)
  }

  /// What happens after the warm-up.
  public let decay: Decay
  /// How long the factor rises from 0 to 1.
  public let warmup: Warmup

  /// The learning rate as it is given, at every step.
  public static let constant = LearningRateSchedule(unchecked: .constant, .steps(0))

  /// Creates a schedule.
  ///
  /// - Parameters:
  ///   - decay: What happens after the warm-up.
  ///   - warmup: How long the factor rises; not at all by default.
  /// - Throws: ``ApusError`` `.invalidConfig` if a number is out of its range.
  public init(_ decay: Decay, warmup: Warmup = .steps(0)) throws(ApusError) {
    switch warmup {
    case .steps(let count): try Self.require(count >= 0, "warm-up steps", "\(count)", "≥ 0")
    case .share(let share):
      try Self.require(0...1 ~= share, "warm-up share", "\(share)", "from 0 to 1")
    }
    switch decay {
    case .constant, .linear: break
    case .cosine(let cycles):
      try Self.require(cycles > 0 && cycles.isFinite, "cycles", "\(cycles)", "> 0")
    case .polynomial(let power, let end):
      try Self.require(power > 0 && power.isFinite, "power", "\(power)", "> 0")
      try Self.require(0..<1 ~= end, "end", "\(end)", "in [0, 1)")
    }
    self.init(unchecked: decay, warmup)
  }

  private init(unchecked decay: Decay, _ warmup: Warmup) {
    self.decay = decay
    self.warmup = warmup
  }

  /// What the learning rate is multiplied by at one step, 0…1.
  ///
  /// - Parameters:
  ///   - step: The step about to be taken; the first is 0.
  ///   - total: Number of steps of the training.
  /// - Returns: The factor; past the end, that of the end.
  public func factor(step: Int, of total: Int) -> Double {
    let rising =
      switch warmup {
      case .steps(let count): count
      case .share(let share): Int((Double(total) * share).rounded(.up))
      }
    if step < rising { return Double(step) / Double(rising) }
    let progress = Double(step - rising) / Double(max(1, total - rising))
    switch decay {
    case .constant: return 1
    case .linear: return max(0, Double(total - step) / Double(max(1, total - rising)))
    case .cosine(let cycles): return max(0, 0.5 * (1 + cos(2 * .pi * cycles * progress)))
    case .polynomial(let power, let end):
      return (1 - end) * pow(max(0, 1 - progress), power) + end
    }
  }

  private static func require(
    _ condition: Bool, _ name: String, _ value: String, _ range: String
  ) throws(ApusError) {
    guard !condition else { return }
    throw ApusError(
      .invalidConfig, at: "learning-rate schedule, \(name)", "\(value) is not \(range)",
      remedy: "Give a value \(range)")
  }
}

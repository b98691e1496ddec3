internal import Foundation

/// How many triplets AdaLoRA keeps after each step of a run.
///
/// The whole budget for a while, then down along a cubic, then the final budget to the end.
///
/// - Source: Zhang et al., arXiv 2303.10512, eq. 12; as in the authors' code, a step counts when it
///   is done, so that t goes from 1 to T.
struct AdaLoRABudget: Equatable {
  /// b₀, triplets at the beginning.
  let start: Int
  /// b_T, triplets at the end.
  let end: Int
  /// t_init, steps with the whole budget.
  let initialSteps: Int
  /// T − t_final, the last step at which importance counts.
  let lastAllocation: Int
  /// Δ_T, steps between allocations.
  let interval: Int

  /// The schedule of a run.
  ///
  /// - Parameters:
  ///   - start: b₀.
  ///   - end: b_T; more than there are counts as all.
  ///   - steps: T.
  ///   - options: Shares of beginning and end, and the interval.
  init(from start: Int, to end: Int, steps: Int, _ options: AdaLoRAOptions) {
    self.start = start
    self.end = min(start, end)
    initialSteps = Int((options.initialShare * Double(steps)).rounded())
    lastAllocation = max(
      initialSteps, steps - Int((options.finalShare * Double(steps)).rounded()))
    interval = options.interval
  }

  /// b(t), and whether the triplets are chosen anew after step t.
  func kept(after step: Int) -> (count: Int, isAllocation: Bool) {
    if step <= initialSteps { return (start, false) }
    if step >= lastAllocation { return (end, true) }
    let share = 1 - Double(step - initialSteps) / Double(lastAllocation - initialSteps)
    let count = Double(start - end) * pow(share, 3) + Double(end)
    return (Int(count), step.isMultiple(of: interval))
  }
}

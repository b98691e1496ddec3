internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// Gives AdaLoRA's budget to the triplets that matter most, step by step, and keeps P and Q
/// orthogonal.
///
/// After every optimizer step: sensitivity I = |w·∂L/∂w| of each number, moving averages
/// Ī ← β₁Ī + (1 − β₁)I and Ū ← β₂Ū + (1 − β₂)|I − Ī|, score Ī·Ū; a triplet's score is that of its
/// element of E plus the means over its column of P and its row of Q. Then E is set to zero where the
/// score is not above that of the last triplet outside of the budget. The penalty is γ times the mean
/// of ‖PᵀP − I‖ and ‖QQᵀ − I‖ over all matrices, as in the authors' code and in PEFT; the paper sums
/// squares.
///
/// In a federation T is rounds × local steps of a full round, by each client's own count, so that all
/// clients are at one part of the schedule. The averages are fresh in every round: a client keeps
/// nothing, and may not be drawn again for long. A round that begins behind T − t_final has none to
/// choose by, so every client keeps the triplets with the largest |E| of what it received, the same
/// for all, and the averaged model has b_T triplets too. For that the final share should cover more
/// than one round.
///
/// - Source: Zhang et al., arXiv 2303.10512, Algorithm 1 and eqs. 7 to 12; order of the calls as in
///   Hugging Face PEFT: optimizer, scores of the new weights with the old gradient, mask.
final class AdaLoRAAllocator: StepHook {
  /// An adapter and the names of its tensors, in the order of its leaves.
  typealias Site = (adapter: AdaLoRA, names: [String])

  private let sites: [Site]
  private let targetRank: Int
  private let options: AdaLoRAOptions
  private var budget: AdaLoRABudget?
  /// Ī and Ū by name of the tensor.
  private var averages: [String: (sensitivity: Tensor, uncertainty: Tensor)] = [:]
  /// What is kept from T − t_final on: ones and zeros [r, 1], site by site.
  private var finalMasks: [Tensor]?

  init(_ sites: [Site], targetRank: Int, _ options: AdaLoRAOptions) {
    self.sites = sites
    self.targetRank = targetRank
    self.options = options
  }

  func begin(_ phase: LocalPhase) throws {
    guard let steps = options.totalSteps ?? phase.runStepCount else {
      throw ApusError(
        .silentFailure, at: "adapter.adalora",
        "the budget runs over all rounds, and this phase does not say which is its own",
        remedy: "Set total-steps, or let the method name the round of its local work")
    }
    budget = AdaLoRABudget(
      from: sites.reduce(0) { $0 + $1.adapter.rank }, to: sites.count * targetRank, steps: steps,
      options)
    (averages, finalMasks) = ([:], nil)
  }

  func beforeStep(_ step: LocalStep) {
    guard let budget, finalMasks == nil, averages.isEmpty, step.ordinal >= budget.lastAllocation
    else { return }
    finalMasks = masks(
      keeping: budget.end, by: sites.map { $0.adapter.e.detached().magnitude.doubles })
    applyFinalMasks()
  }

  func penalty(_ step: LocalStep) -> Tensor? {
    guard options.orthogonality > 0 else { return nil }
    let gaps = sites.flatMap(\.adapter.orthogonalityGaps)
    return stacked(gaps).mean() * options.orthogonality
  }

  func afterStep(_ step: LocalStep, gradients: NamedTensors) {
    guard let budget else { return }
    withoutGradient {
      if step.ordinal < budget.lastAllocation { measure(gradients) }
      guard finalMasks == nil else { return applyFinalMasks() }
      let (count, isAllocation) = budget.kept(after: step.ordinal)
      guard isAllocation else { return }
      let masks = masks(above: threshold(keeping: count), by: scores)
      if step.ordinal >= budget.lastAllocation { finalMasks = masks }
      for (site, mask) in zip(sites, masks) { site.adapter.e.multiplyInPlace(mask) }
    }
  }

  /// Ī and Ū of every tensor that got a gradient.
  private func measure(_ gradients: NamedTensors) {
    for (adapter, names) in sites {
      for (name, leaf) in zip(names, adapter.leaves.map(\.tensor)) {
        guard let gradient = gradients[name] else { continue }
        let now = (leaf * gradient).magnitude
        let former = averages[name] ?? (leaf.zerosLike, leaf.zerosLike)
        let sensitivity = former.sensitivity * options.beta1 + now * (1 - options.beta1)
        let gap = (now - sensitivity).magnitude
        let uncertainty = former.uncertainty * options.beta2 + gap * (1 - options.beta2)
        averages[name] = (sensitivity.detached(), uncertainty.detached())
      }
    }
  }

  /// The score of every triplet, site by site.
  private var scores: [[Double]] {
    sites.map { adapter, names in
      let parts = zip(names, adapter.leaves.map(\.tensor)).map { name, leaf in
        averages[name].map { $0.sensitivity * $0.uncertainty } ?? leaf.detached().zerosLike
      }
      return (parts[2].squeezed(1) + parts[1].mean([0]) + parts[0].mean([1])).doubles
    }
  }

  /// The score that a triplet must exceed to be among so many; nil if all are kept.
  private func threshold(keeping count: Int) -> Double? {
    let all = scores.flatMap { $0 }.sorted()
    let dropped = all.count - count
    return dropped > 0 ? all[dropped - 1] : nil
  }

  private func masks(above threshold: Double?, by scores: [[Double]]) -> [Tensor] {
    scores.map { site in mask(site.map { score in threshold.map { score > $0 } ?? true }) }
  }

  /// Masks with exactly so many ones, where the values are largest; of equals, the first.
  private func masks(keeping count: Int, by values: [[Double]]) -> [Tensor] {
    let places = values.indices.flatMap { site in values[site].indices.map { (site, $0) } }
    let order = places.indices.sorted {
      let (a, b) = (places[$0], places[$1])
      let (x, y) = (values[a.0][a.1], values[b.0][b.1])
      return x == y ? $0 < $1 : x > y
    }
    var isKept = values.map { $0.map { _ in false } }
    for place in order.prefix(count) { isKept[places[place].0][places[place].1] = true }
    return isKept.map(mask)
  }

  private func mask(_ isKept: [Bool]) -> Tensor {
    Tensor(isKept.map { $0 ? 1 : 0 } as [Float], shape: [isKept.count, 1])
      .to(device: sites[0].adapter.e.device)
  }

  private func applyFinalMasks() {
    for (site, mask) in zip(sites, finalMasks ?? []) { site.adapter.e.multiplyInPlace(mask) }
  }
}

extension LocalStep {
  /// t: how many steps of the run are done after this one.
  fileprivate var ordinal: Int { (runIndex ?? index) + 1 }
}

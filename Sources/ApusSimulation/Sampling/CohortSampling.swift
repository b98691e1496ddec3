public import ApusBase

/// How the clients of a round are drawn.
public struct CohortSampling: OptionGroup, Equatable {
  /// The ways of drawing.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// `cohortSize` different clients, all sets alike likely.
    case uniform
    /// Each client with probability `rate`, independently; what privacy accountants assume.
    case poisson
    /// `cohortSize` draws with probability pₖ, with replacement, averaged uniformly: scheme I of
    /// Li et al. 2020. A client drawn twice trains once and counts twice.
    case weighted
    /// As uniform, with weights pₖ·K/m: scheme II of Li et al. 2020.
    ///
    /// The weights sum to 1 on average only. Their sum reaches the server as the round's
    /// `stepScale`; with it the step Σ wₖΔₖ is unbiased. A method that ignores it takes the ratio
    /// Σ nₖΔₖ / Σ nₖ, which is the bits of `uniform` and biased by O(1/m).
    case uniformUnbiased = "uniform-unbiased"
    /// The cohorts of a file, to follow another simulator's run.
    case fixed
  }

  /// Which way.
  public var kind = Kind.uniform
  /// Clients of a round, m ≥ 1; at most all of them are drawn.
  public var cohortSize = 10
  /// Probability of each client in Poisson sampling.
  public var rate = 0.1
  /// ρ: ⌈(1 + ρ)·m⌉ clients are drawn and the first m to finish in virtual time are kept.
  ///
  /// The result leans towards fast clients.
  public var overSelection = 0.0
  /// JSON file of fixed cohorts: a list with one list of client indices for each round.
  public var cohortFile = ""

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      cohortSize >= 1, "cohort-size", "\(cohortSize) is below 1", remedy: "Give a number ≥ 1")
    try require(
      rate > 0 && rate <= 1, "rate", "\(rate) is no probability of a client",
      remedy: "Give a number above 0, at most 1")
    try require(
      overSelection >= 0 && overSelection.isFinite, "over-selection",
      "\(overSelection) is negative or infinite", remedy: "Give ρ ≥ 0, such as 0.3")
    try require(
      overSelection == 0 || kind == .uniform || kind == .uniformUnbiased, "over-selection",
      "\(kind.rawValue) sampling has no cohort size to exceed",
      remedy: "Use uniform sampling, or remove over-selection")
    try require(
      (kind == .fixed) != cohortFile.isEmpty, "cohort-file",
      cohortFile.isEmpty ? "fixed sampling needs a file" : "\(kind.rawValue) sampling reads none",
      remedy: "Give cohort-file together with the kind \"fixed\"")
  }
}

public import ApusBase

/// Which biases of the frozen model train along.
public enum BiasTraining: String, Sendable, Codable, CaseIterable {
  /// No bias.
  case none
  /// Every bias of the model.
  case all
  /// Those of the layers that have an adapter.
  case adapted = "lora_only"
}

/// Where adapters act and with which ranks; meanings and defaults are those of PEFT's `LoraConfig`.
public struct AdapterConfiguration: OptionGroup, Equatable {
  /// Inner dimension r ≥ 1.
  public var rank = 8
  /// Numerator of the scaling s = alpha / r.
  public var alpha = 8.0
  /// Probability of dropout on the adapters' branch, below 1.
  public var dropout = 0.0
  /// Projections that get an adapter.
  public var targets = ModulePattern.names(["query", "value"])
  /// Projections that get none although they are targets.
  public var excludes = ModulePattern.names([])
  /// Indices of the blocks in which targets named by their ending count; empty for all.
  public var layers: [Int] = []
  /// Whether s = alpha / √r, so that its effect does not fade with the rank (rsLoRA).
  public var useRSLoRA = false
  /// Which biases train along.
  public var bias = BiasTraining.none
  /// Modules that train as a whole, by the ending of their path; without the head it stays frozen.
  public var modulesToSave = ["classifier"]
  /// Ranks of single projections, by regular expressions for the end of their path.
  public var rankPattern: [String: Int] = [:]
  /// Alphas of single projections, likewise.
  public var alphaPattern: [String: Double] = [:]

  public init() {}

  public func validate() throws(ApusError) {
    for rank in [rank] + rankPattern.values {
      try require(
        (1...65_536).contains(rank), "rank", "\(rank) is no rank", remedy: "Give a number ≥ 1")
    }
    for alpha in [alpha] + alphaPattern.values {
      try require(
        alpha.isFinite && alpha > 0, "alpha", "\(alpha) is no numerator of a scaling",
        remedy: "Give a number > 0, often the rank or twice the rank")
    }
    try require(
      (0..<1).contains(dropout), "dropout", "\(dropout) is no probability below 1",
      remedy: "Give a number from 0 to below 1")
    try require(
      targets != .names([]), "targets", "no projection is named",
      remedy: "Name the endings of module paths, such as query and value, or all-linear")
    for (name, pattern) in [("targets", targets), ("excludes", excludes)] {
      _ = try pattern.compiled(at: name)
    }
    for (name, keys) in [
      ("rank-pattern", Array(rankPattern.keys)), ("alpha-pattern", Array(alphaPattern.keys)),
    ] {
      for key in keys { _ = try PathExpression(endingIn: key, at: name) }
    }
  }
}

extension AdapterConfiguration {
  /// The same places with other ranks and scalings s, written as alpha = s·r.
  func stating(_ ranks: [(path: String, rank: Int, scaling: Double)]) -> Self {
    var stated = self
    stated.useRSLoRA = false
    (stated.rankPattern, stated.alphaPattern) = ([:], [:])
    guard let most = ranks.max(by: { $0.rank < $1.rank }) else { return stated }
    (stated.rank, stated.alpha) = (most.rank, most.scaling * Double(most.rank))
    for (path, rank, scaling) in ranks {
      if rank != stated.rank { stated.rankPattern[path] = rank }
      let alpha = scaling * Double(rank)
      if alpha != stated.alpha { stated.alphaPattern[path] = alpha }
    }
    return stated
  }
}

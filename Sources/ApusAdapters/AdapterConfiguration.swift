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

/// What a projection's change is made of.
public enum AdapterKind: String, Sendable, Codable, CaseIterable {
  /// s·BA.
  case lora
  /// s·BA, of which any first rows and columns are an adapter too.
  case dylora
  /// s·P diag(E) Q, of which the triplets that matter are kept.
  case adalora
  /// LoRA of the direction beside a trained length.
  case dora
  /// diag(b)·B·diag(d)·A with frozen random A and B.
  case vera

  /// As papers write it.
  var title: String {
    switch self {
    case .lora: "LoRA"
    case .dylora: "DyLoRA"
    case .adalora: "AdaLoRA"
    case .dora: "DoRA"
    case .vera: "VeRA"
    }
  }
}

/// Which adapters act where, and with which ranks; meanings and defaults are PEFT's.
public struct AdapterConfiguration: OptionGroup, Equatable {
  /// What a projection's change is made of.
  public var kind = AdapterKind.lora
  /// Inner dimension r ≥ 1; of DyLoRA the highest, of AdaLoRA the mean one at the end.
  public var rank = 8
  /// Numerator of the scaling s = alpha / r; VeRA has none.
  public var alpha = 8.0
  /// Probability of dropout on the adapters' branch, below 1.
  public var dropout = 0.0
  /// Projections that get an adapter.
  public var targets = ModulePattern.names(["query", "value"])
  /// Projections that get none although they are targets.
  public var excludes = ModulePattern.names([])
  /// Indices of the blocks in which targets named by their ending count; empty for all.
  public var layers: [Int] = []
  /// Whether s = alpha / √r, so that its effect does not fade with the rank (rsLoRA); for LoRA and
  /// DoRA.
  public var useRSLoRA = false
  /// Which biases train along.
  public var bias = BiasTraining.none
  /// Modules that train as a whole, by the ending of their path; without the head it stays frozen.
  public var modulesToSave = ["classifier"]
  /// Ranks of single projections, by regular expressions for the end of their path; of AdaLoRA,
  /// those at the beginning.
  public var rankPattern: [String: Int] = [:]
  /// Alphas of single projections, likewise.
  public var alphaPattern: [String: Double] = [:]
  /// Of kind `dylora`.
  public var dylora = DyLoRAOptions()
  /// Of kind `adalora`.
  public var adalora = AdaLoRAOptions()
  /// Of kind `vera`.
  public var vera = VeRAOptions()

  public init() {}

  /// The rank of a projection at the beginning, unless it has one of its own.
  var startRank: Int {
    kind == .adalora ? adalora.initialRank ?? (3 * rank + 1) / 2 : rank
  }

  public func validate() throws(ApusError) {
    for (name, group) in [
      ("dylora", dylora as any OptionGroup), ("adalora", adalora), ("vera", vera),
    ] {
      do throws(ApusError) { try group.validate() } catch {
        throw ApusError(
          error.code, at: "\(name).\(error.location)", error.problem, remedy: error.remedy)
      }
    }
    try validateKind()
    let lowest = kind == .adalora ? 0 : 1  // AdaLoRA may leave a projection without any triplet
    try require(
      (1...65_536).contains(rank), "rank", "\(rank) is no rank", remedy: "Give a number ≥ 1")
    for rank in rankPattern.values {
      try require(
        (lowest...65_536).contains(rank), "rank-pattern", "\(rank) is no rank",
        remedy: "Give a number ≥ \(lowest)")
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

  /// Refuses settings that this kind of adapter would ignore, and ranks that contradict each other.
  private func validateKind() throws(ApusError) {
    let plain = AdapterConfiguration()
    let foreign: [(setting: String, isSet: Bool, kinds: [AdapterKind])] = [
      ("dylora", dylora != plain.dylora, [.dylora]),
      ("adalora", adalora != plain.adalora, [.adalora]),
      ("vera", vera != plain.vera, [.vera]),
      (Spelling.kebab("useRSLoRA"), useRSLoRA, [.lora, .dora]),
      ("alpha", alpha != plain.alpha, [.lora, .dylora, .adalora, .dora]),
      ("rank-pattern", !rankPattern.isEmpty, [.lora, .dylora, .adalora, .dora]),
      ("alpha-pattern", !alphaPattern.isEmpty, [.lora, .dylora, .dora]),
    ]
    for (setting, isSet, kinds) in foreign {
      try require(
        !isSet || kinds.contains(kind), setting, "\(kind.title) has no such setting",
        remedy: "Remove it, or choose kind: \(kinds.map(\.rawValue).joined(separator: " or "))")
    }
    try require(
      kind != .adalora || startRank >= rank, "adalora.initial-rank",
      "\(startRank) is below the final rank \(rank)", remedy: "Give at least \(rank)")
    try require(
      (dylora.width ?? rank) <= rank, "dylora.width", "it exceeds the rank \(rank)",
      remedy: "Give a number from 1 to \(rank)")
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

  /// The same as a LoRA of the same places.
  var asLoRA: Self {
    var plain = self
    plain.kind = .lora
    (plain.dylora, plain.adalora, plain.vera) = (.init(), .init(), .init())
    return plain
  }
}

internal import ApusBase
internal import ApusCore

/// Which projections of a model a configuration chooses, and with which rank and scaling.
///
/// - Source: huggingface/peft 0.21, `check_target_module_exists` and `get_pattern_key`.
struct SiteSelection {
  /// One chosen projection.
  struct Choice {
    let path: String
    let site: ProjectionSite
    let rank: Int
    let scaling: Double
  }

  let choices: [Choice]

  /// Matches every projection of a model against the configuration.
  ///
  /// - Parameters:
  ///   - model: Whose projections are asked.
  ///   - configuration: The patterns.
  ///   - strictly: Whether every single target has to match something, not only one of them.
  /// - Throws: ``ApusError`` `.silentFailure` that names a target without a match and its nearest
  ///   module, `.invalidConfig` for a malformed pattern or a rank above the projection's lengths.
  init(
    in model: Module, _ configuration: AdapterConfiguration, strictly: Bool
  ) throws(ApusError) {
    var sites: [(path: String, site: ProjectionSite)] = []
    model.walk { path, module in
      if let site = module as? ProjectionSite { sites.append((path, site)) }
    }
    let isTarget = try configuration.targets.compiled(at: "targets")
    let isExcluded = try configuration.excludes.compiled(at: "excludes")
    let ranks = try PatternTable(configuration.rankPattern, at: "rank-pattern")
    let alphas = try PatternTable(configuration.alphaPattern, at: "alpha-pattern")
    try Self.requireMatches(
      configuration.targets, isTarget, paths: sites.map(\.path), strictly: strictly)

    var choices: [Choice] = []
    for (path, site) in sites where isTarget(path) && !isExcluded(path) {
      guard
        !configuration.modulesToSave.contains(where: { Self.lies(path, in: $0) }),
        Self.isInLayers(path, configuration)
      else { continue }
      let rank = ranks[path] ?? configuration.startRank
      // The matrices of VeRA are frozen, and may be larger than the projection.
      guard configuration.kind == .vera || rank <= min(site.base.inputs, site.base.outputs) else {
        throw ApusError(
          .invalidConfig, at: "rank",
          "\(rank) exceeds what \(path) [\(site.base.outputs), \(site.base.inputs)] can hold",
          remedy: "Give a rank of at most \(min(site.base.inputs, site.base.outputs))")
      }
      let alpha = alphas[path] ?? configuration.alpha
      let divisor = configuration.useRSLoRA ? Double(rank).squareRoot() : Double(rank)
      choices.append(Choice(path: path, site: site, rank: rank, scaling: alpha / divisor))
    }
    guard !choices.isEmpty else {
      throw ApusError(
        .silentFailure, at: "targets", "every target is excluded, so that no adapter would act",
        remedy: "Check excludes, layers and modules-to-save")
    }
    self.choices = choices
  }

  private static func requireMatches(
    _ targets: ModulePattern, _ isTarget: (String) -> Bool, paths: [String], strictly: Bool
  ) throws(ApusError) {
    var unmatched: String?
    switch targets {
    case .names(let names) where strictly:
      unmatched = names.first { name in !paths.contains { ModulePattern.matches($0, name) } }
    case .names(let names):
      unmatched = paths.contains(where: isTarget) ? nil : names.joined(separator: ", ")
    case .expression(let text): unmatched = paths.contains(where: isTarget) ? nil : text
    case .allLinear: break
    }
    guard let unmatched else { return }
    // Endings from the last component to the whole path, so that any spelling finds its like.
    var endings: Set<String> = []
    for path in paths {
      let parts = path.split(separator: ".")
      for count in 1..<(parts.count + 1) {
        // An ending that begins with a block's number names nothing that a user would write.
        guard Int(parts[parts.count - count]) == nil else { continue }
        endings.insert(parts.suffix(count).joined(separator: "."))
      }
    }
    let meant = Spelling.suggestion(for: unmatched, in: endings.sorted())
    let last = Set(paths.compactMap { $0.split(separator: ".").last.map(String.init) }).sorted()
    throw ApusError(
      .silentFailure, at: "targets", "\"\(unmatched)\" matches no projection of the model",
      remedy: (meant.map { "Did you mean \"\($0)\"? " } ?? "")
        + "Projections end in \(last.joined(separator: ", "))")
  }

  /// Whether a path is that of a wholly trained module, or below one.
  private static func lies(_ path: String, in module: String) -> Bool {
    ".\(path).".contains(".\(module).")
  }

  /// PEFT asks for the layer only where a name matched by its ending.
  private static func isInLayers(_ path: String, _ configuration: AdapterConfiguration) -> Bool {
    guard !configuration.layers.isEmpty, case .names(let names) = configuration.targets,
      !names.contains(path)
    else { return true }
    let parts = path.split(separator: ".")
    // The first number with two components before it and one behind.
    guard parts.count > 3 else { return false }
    let index = parts[2..<(parts.count - 1)].lazy.compactMap { Int($0) }.first
    return index.map(configuration.layers.contains) ?? false
  }
}

/// Values for single modules by expressions; of several that match, the first in the order of keys.
private struct PatternTable<Value> {
  private let entries: [(expression: PathExpression, value: Value)]

  init(_ patterns: [String: Value], at place: String) throws(ApusError) {
    var entries: [(PathExpression, Value)] = []
    for (key, value) in patterns.sorted(by: { $0.key < $1.key }) {
      entries.append((try PathExpression(endingIn: key, at: place), value))
    }
    self.entries = entries
  }

  subscript(path: String) -> Value? { entries.first { $0.expression.matches(path) }?.value }
}

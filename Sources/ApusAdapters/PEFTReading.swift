internal import ApusBase
internal import Foundation

extension AdapterConfiguration {
  /// Fields of `adapter_config.json` that change what an adapter computes and are not supported;
  /// anything but null, false or empty in one of them is refused.
  private static let refused = [
    "lora_bias", "use_qalora", "use_bdlora", "alora_invocation_tokens", "layer_replication",
    "layers_pattern", "target_parameters", "trainable_token_indices", "arrow_config",
    "kasa_config", "velora_config", "monteclora_config",
  ]

  /// Reads `adapter_config.json`; missing fields have PEFT's defaults.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for another type of adapter or an unknown variant,
  ///   `.invalidFile` for a field of the wrong type, `.invalidConfig` for an impossible value.
  init(peft config: JSONNode) throws(ApusError) {
    self.init()
    let type = try Self.one(of: ["LORA", "ADALORA", "VERA"], config["peft_type"])
    let task = try AdapterTask(peft: config["task_type"])
    for field in Self.refused where !Self.isEmpty(config[field]) {
      throw Self.refusal(config[field])
    }
    let isDoRA = !Self.isEmpty(config["use_dora"])
    if isDoRA, type != "LORA" { throw Self.refusal(config["use_dora"]) }
    kind = type == "VERA" ? .vera : type == "ADALORA" ? .adalora : isDoRA ? .dora : .lora
    switch kind {
    case .vera: try readVeRA(config)
    case .adalora: try readAdaLoRA(config)
    default: try readLoRA(config)
    }
    if config["bias"].exists {
      let name = try config["bias"].string()
      guard let known = BiasTraining.allCases.first(where: { $0.peftName(kind) == name }) else {
        throw config["bias"].error(
          "there is no bias training \"\(name)\"",
          remedy: Spelling.remedy(
            for: name, allowed: BiasTraining.allCases.map { $0.peftName(kind) }))
      }
      bias = known
    }
    targets = try Self.pattern(config["target_modules"])
    if config["exclude_modules"].exists { excludes = try Self.pattern(config["exclude_modules"]) }
    try readModules(config, task)
    try validate()
  }

  private mutating func readLoRA(_ config: JSONNode) throws(ApusError) {
    if config["r"].exists { rank = try config["r"].int() }
    if config["lora_alpha"].exists { alpha = try config["lora_alpha"].double() }
    if config["lora_dropout"].exists { dropout = try config["lora_dropout"].double() }
    if config["use_rslora"].exists { useRSLoRA = try config["use_rslora"].bool() }
    if config["rank_pattern"].exists {
      for (key, value) in try config["rank_pattern"].dictionary() {
        rankPattern[key] = try value.int()
      }
    }
    if config["alpha_pattern"].exists {
      for (key, value) in try config["alpha_pattern"].dictionary() {
        alphaPattern[key] = try value.double()
      }
    }
  }

  /// The steps of the file become shares of its total; `r` is ignored, as PEFT does.
  private mutating func readAdaLoRA(_ config: JSONNode) throws(ApusError) {
    rank = config["target_r"].exists ? try config["target_r"].int() : 8
    adalora.initialRank = config["init_r"].exists ? try config["init_r"].int() : 12
    if config["lora_alpha"].exists { alpha = try config["lora_alpha"].double() }
    if config["lora_dropout"].exists { dropout = try config["lora_dropout"].double() }
    if config["deltaT"].exists { adalora.interval = try config["deltaT"].int() }
    if config["beta1"].exists { adalora.beta1 = try config["beta1"].double() }
    if config["beta2"].exists { adalora.beta2 = try config["beta2"].double() }
    if config["orth_reg_weight"].exists {
      adalora.orthogonality = try config["orth_reg_weight"].double()
    }
    let total = try config["total_step"].int()
    guard total >= 1 else {
      throw config["total_step"].error("\(total) is below 1", remedy: "Give the number of steps")
    }
    adalora.totalSteps = total
    let share = { (node: JSONNode) throws(ApusError) in
      node.exists ? Double(try node.int()) / Double(total) : 0
    }
    adalora.initialShare = try share(config["tinit"])
    adalora.finalShare = try share(config["tfinal"])
    guard config["rank_pattern"].exists else { return }
    for (key, value) in try config["rank_pattern"].dictionary() {
      var kept = 0
      for isKept in try value.array() { kept += try isKept.bool() ? 1 : 0 }
      rankPattern[key.hasSuffix(".lora_E") ? String(key.dropLast(".lora_E".count)) : key] = kept
    }
  }

  private mutating func readVeRA(_ config: JSONNode) throws(ApusError) {
    rank = config["r"].exists ? try config["r"].int() : 256
    if config["vera_dropout"].exists { dropout = try config["vera_dropout"].double() }
    if config["d_initial"].exists { vera.initialD = try config["d_initial"].double() }
    if config["projection_prng_key"].exists {
      let key = try config["projection_prng_key"].int()
      guard key >= 0 else {
        throw config["projection_prng_key"].error("\(key) is no seed", remedy: "Give a number ≥ 0")
      }
      vera.projectionSeed = UInt64(key)
    }
    if config["save_projection"].exists {
      vera.storesProjections = try config["save_projection"].bool()
    }
  }

  /// Modules to save, and layers.
  private mutating func readModules(
    _ config: JSONNode, _ task: AdapterTask?
  ) throws(ApusError) {
    modulesToSave = []
    if config["modules_to_save"].exists {
      for name in try config["modules_to_save"].array() { modulesToSave.append(try name.string()) }
    }
    // PEFT adds its names of heads for this task, in memory and in the file.
    modulesToSave += (task?.headNames ?? []).filter { !modulesToSave.contains($0) }
    let layers = config["layers_to_transform"]
    if layers.foundationValue is [Any] {
      for index in try layers.array() { self.layers.append(try index.int()) }
    } else if layers.exists {
      self.layers = [try layers.int()]
    }
  }

  private static func pattern(_ node: JSONNode) throws(ApusError) -> ModulePattern {
    if node.foundationValue is String { return ModulePattern(try node.string()) }
    var names: [String] = []
    for name in try node.array() { names.append(try name.string()) }
    return .names(names)
  }

  private static func isEmpty(_ node: JSONNode) -> Bool {
    let value = node.foundationValue
    return (value as? [Any])?.isEmpty ?? (value as? [String: Any])?.isEmpty
      ?? (value as? String)?.isEmpty ?? (value as? Bool).map { !$0 } ?? (value == nil)
  }

  private static func refusal(_ node: JSONNode) -> ApusError {
    ApusError(
      .unsupported, at: node.place, "this variant of the adapter is not supported",
      remedy: "Merge the adapter into its base model with Python's PEFT, and open that")
  }

  private static func one(of known: [String], _ node: JSONNode) throws(ApusError) -> String {
    let found = try node.string()
    guard !known.contains(found) else { return found }
    throw ApusError(
      .unsupported, at: node.place, "\"\(found)\" is not supported",
      remedy: "Give an adapter with \(known.joined(separator: " or "))")
  }
}

extension BiasTraining {
  /// How PEFT writes it for a kind of adapter.
  func peftName(_ kind: AdapterKind) -> String {
    self == .adapted && kind == .vera ? "vera_only" : rawValue
  }
}

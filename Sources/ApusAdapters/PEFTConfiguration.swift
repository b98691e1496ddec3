internal import ApusBase
internal import Foundation

extension AdapterConfiguration {
  /// Fields of `adapter_config.json` that change what an adapter computes and are not supported;
  /// anything but null, false or empty in one of them is refused.
  private static let refused = [
    "use_dora", "lora_bias", "use_qalora", "use_bdlora", "alora_invocation_tokens",
    "layer_replication", "layers_pattern", "target_parameters", "trainable_token_indices",
    "arrow_config", "kasa_config", "velora_config", "monteclora_config",
  ]

  /// Reads `adapter_config.json`; missing fields have PEFT's defaults.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for another type of adapter or a variant of LoRA,
  ///   `.invalidFile` for a field of the wrong type, `.invalidConfig` for an impossible value.
  init(peft config: JSONNode) throws(ApusError) {
    self.init()
    try Self.refuse(config["peft_type"], unless: ["LORA"])
    let task = try AdapterTask(peft: config["task_type"])
    for field in Self.refused {
      let value = config[field].foundationValue
      let isEmpty =
        (value as? [Any])?.isEmpty ?? (value as? [String: Any])?.isEmpty
        ?? (value as? String)?.isEmpty ?? (value as? Bool).map { !$0 } ?? (value == nil)
      guard isEmpty else {
        throw ApusError(
          .unsupported, at: config[field].place, "this variant of LoRA is not supported",
          remedy: "Merge the adapter into its base model with Python's PEFT, and open that")
      }
    }
    if config["r"].exists { rank = try config["r"].int() }
    if config["lora_alpha"].exists { alpha = try config["lora_alpha"].double() }
    if config["lora_dropout"].exists { dropout = try config["lora_dropout"].double() }
    if config["use_rslora"].exists { useRSLoRA = try config["use_rslora"].bool() }
    if config["bias"].exists {
      let name = try config["bias"].string()
      guard let known = BiasTraining(rawValue: name) else {
        throw config["bias"].error(
          "there is no bias training \"\(name)\"",
          remedy: Spelling.remedy(for: name, allowed: BiasTraining.allCases.map(\.rawValue)))
      }
      bias = known
    }
    targets = try Self.pattern(config["target_modules"])
    if config["exclude_modules"].exists { excludes = try Self.pattern(config["exclude_modules"]) }
    try readModules(config, task)
    try validate()
  }

  /// Modules to save, layers, and the patterns for single modules.
  private mutating func readModules(
    _ config: JSONNode, _ task: AdapterTask?
  ) throws(ApusError) {
    modulesToSave = []
    if config["modules_to_save"].exists {
      for name in try config["modules_to_save"].array() { modulesToSave.append(try name.string()) }
    }
    // PEFT adds its names of heads for this task, in memory and in the file.
    if task?.hasHead == true {
      modulesToSave += TrainedModules.headNames.filter { !modulesToSave.contains($0) }
    }
    let layers = config["layers_to_transform"]
    if layers.foundationValue is [Any] {
      for index in try layers.array() { self.layers.append(try index.int()) }
    } else if layers.exists {
      self.layers = [try layers.int()]
    }
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

  private static func pattern(_ node: JSONNode) throws(ApusError) -> ModulePattern {
    if node.foundationValue is String { return ModulePattern(try node.string()) }
    var names: [String] = []
    for name in try node.array() { names.append(try name.string()) }
    return .names(names)
  }

  private static func refuse(_ node: JSONNode, unless known: [String]) throws(ApusError) {
    let found = try node.string()
    guard !known.contains(found) else { return }
    throw ApusError(
      .unsupported, at: node.place, "\"\(found)\" is not supported",
      remedy: "Give an adapter with \(known.joined(separator: " or "))")
  }

  /// The bytes of `adapter_config.json`.
  ///
  /// - Parameters:
  ///   - baseModel: Hub name or folder of the checkpoint.
  ///   - task: What the adapter was trained for.
  ///   - isTransposed: Whether the checkpoint keeps the adapted matrices with their axes exchanged.
  /// - Returns: JSON with sorted keys.
  /// - Throws: An error of JSONSerialization for numbers that JSON does not have.
  func peftBytes(baseModel: String?, task: AdapterTask, isTransposed: Bool) throws -> Data {
    var fields: [String: Any] = [
      "peft_type": "LORA", "task_type": task.rawValue, "inference_mode": true, "r": rank,
      "lora_alpha": Self.number(alpha), "lora_dropout": dropout, "use_rslora": useRSLoRA,
      "use_dora": false, "bias": bias.rawValue, "fan_in_fan_out": isTransposed,
      "init_lora_weights": true, "target_modules": Self.value(targets),
      "rank_pattern": rankPattern, "alpha_pattern": alphaPattern.mapValues(Self.number),
      "base_model_name_or_path": baseModel ?? NSNull(), "revision": NSNull(),
      "auto_mapping": NSNull(), "lora_bias": false,
    ]
    // A frozen head was drawn, so it is stored like a trained one: the base model has none.
    let names = TrainedModules.headNames
    let heads = task.hasHead ? names.filter { !modulesToSave.contains($0) } : []
    let saved = modulesToSave + heads
    fields["modules_to_save"] = saved.isEmpty ? NSNull() : saved
    fields["exclude_modules"] = excludes == .names([]) ? NSNull() : Self.value(excludes)
    fields["layers_to_transform"] = layers.isEmpty ? NSNull() : layers
    return try JSONSerialization.data(
      withJSONObject: fields, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
  }

  private static func value(_ pattern: ModulePattern) -> Any {
    switch pattern {
    case .names(let names): names
    case .expression(let text): text
    case .allLinear: ModulePattern.allLinearName
    }
  }

  /// A whole number as such: PEFT's users expect `"lora_alpha": 16`.
  private static func number(_ value: Double) -> Any { Int(exactly: value) ?? value }
}

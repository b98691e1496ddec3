internal import Foundation

extension AdapterConfiguration {
  /// T in files of AdaLoRA adapters that were trained for all rounds of a federation: PEFT wants some
  /// number, which matters only to who trains on with it.
  private static let nominalSteps = 1_000

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
      "task_type": task.peftName ?? NSNull(), "inference_mode": true, "bias": bias.peftName(kind),
      "fan_in_fan_out": isTransposed, "target_modules": Self.value(targets),
      "base_model_name_or_path": baseModel ?? NSNull(), "revision": NSNull(),
      "auto_mapping": NSNull(),
    ]
    // A frozen head was drawn, so it is stored like a trained one: the base model has none.
    let heads = task.headNames.filter { !modulesToSave.contains($0) }
    let saved = modulesToSave + heads
    fields["modules_to_save"] = saved.isEmpty ? NSNull() : saved
    fields["exclude_modules"] = excludes == .names([]) ? NSNull() : Self.value(excludes)
    fields["layers_to_transform"] = layers.isEmpty ? NSNull() : layers
    let own =
      switch kind {
      case .lora, .dylora, .dora: loraFields
      case .adalora: adaLoRAFields
      case .vera: veRAFields
      }
    return try JSONSerialization.data(
      withJSONObject: fields.merging(own) { $1 },
      options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
  }

  private var loraFields: [String: Any] {
    [
      "peft_type": "LORA", "r": rank, "lora_alpha": Self.number(alpha), "lora_dropout": dropout,
      "use_rslora": useRSLoRA, "use_dora": kind == .dora, "init_lora_weights": true,
      "rank_pattern": rankPattern, "alpha_pattern": alphaPattern.mapValues(Self.number),
      "lora_bias": false,
    ]
  }

  private var adaLoRAFields: [String: Any] {
    let steps = adalora.totalSteps ?? Self.nominalSteps
    let final = min(Int((adalora.finalShare * Double(steps)).rounded()), steps - 1)
    let initial = min(Int((adalora.initialShare * Double(steps)).rounded()), steps - final - 1)
    // Which triplets are gone is of no meaning once they are: the first ones stand for those kept.
    let kept = rankPattern.map { path, rank in
      ("\(path).lora_E", (0..<max(startRank, rank)).map { $0 < rank })
    }
    return [
      "peft_type": "ADALORA", "target_r": rank, "init_r": startRank, "tinit": initial,
      "tfinal": final, "deltaT": adalora.interval, "beta1": adalora.beta1,
      "beta2": adalora.beta2, "orth_reg_weight": adalora.orthogonality, "total_step": steps,
      "lora_alpha": Self.number(alpha), "lora_dropout": dropout, "use_dora": false,
      "init_lora_weights": true,
      "rank_pattern": kept.isEmpty
        ? NSNull() : Dictionary(kept) { first, _ in first } as [String: Any],
    ]
  }

  private var veRAFields: [String: Any] {
    [
      "peft_type": "VERA", "r": rank, "vera_dropout": dropout,
      "d_initial": Self.number(vera.initialD), "projection_prng_key": vera.projectionSeed,
      "save_projection": vera.storesProjections, "init_weights": true,
    ]
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

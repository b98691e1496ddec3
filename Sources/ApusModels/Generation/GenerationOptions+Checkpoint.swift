public import ApusBase
internal import Foundation

extension GenerationOptions {
  /// What a checkpoint's generation_config.json says, with this package's defaults for the rest.
  ///
  /// - Parameter checkpoint: The folder; its stop tokens are taken too.
  /// - Throws: ``ApusError`` `.invalidFile` for a field of the wrong type, `.invalidConfig` for an
  ///   impossible value.
  public init(_ checkpoint: Checkpoint) throws(ApusError) {
    self.init()
    stopTokens = try checkpoint.stopTokens
    let file = checkpoint.folder.appendingPathComponent("generation_config.json")
    guard FileManager.default.fileExists(atPath: file.path) else { return }
    let config = try JSONNode(contentsOf: file)
    func whole(_ key: String, _ target: inout Int) throws(ApusError) {
      if config[key].exists { target = try config[key].int() }
    }
    func number(_ key: String, _ target: inout Double) throws(ApusError) {
      if config[key].exists { target = try config[key].double() }
    }
    try whole("max_new_tokens", &maxNewTokens)
    try whole("min_new_tokens", &minNewTokens)
    try whole("top_k", &topK)
    try whole("num_beams", &numBeams)
    try whole("no_repeat_ngram_size", &noRepeatNgramSize)
    try number("temperature", &temperature)
    try number("top_p", &topP)
    try number("length_penalty", &lengthPenalty)
    try number("repetition_penalty", &repetitionPenalty)
    if config["do_sample"].exists { doSample = try config["do_sample"].bool() }
    if config["forced_bos_token_id"].exists {
      forcedFirstToken = try config["forced_bos_token_id"].int()
    }
    if config["forced_eos_token_id"].exists {
      forcedLastToken = try config["forced_eos_token_id"].int()
    }
    let stopping = config["early_stopping"]
    if stopping.foundationValue is String {
      earlyStopping = .never
    } else if stopping.exists {
      earlyStopping = try stopping.bool() ? .full : .heuristic
    }
    if !doSample, temperature == 0 { temperature = 1 }  // so some files say "do not sample"
    try validate()
  }
}

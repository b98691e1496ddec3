public import ApusBase
internal import ApusCore
internal import ApusTorch
internal import Foundation

extension Backbone {
  /// Makes a model that scores every token; only its head is its own.
  ///
  /// - Parameters:
  ///   - purpose: What the scores are for.
  ///   - random: Draws the head, unless the checkpoint has one that fits.
  /// - Returns: The model, frozen.
  /// - Throws: ``ApusError`` `.unsupported` for an architecture without an encoder, `.invalidFile`
  ///   for `config.json`, `.invalidConfig` without tags, `.checkpointMismatch` or `.shapeMismatch` if
  ///   the weights are not what it promises.
  public func makeTokenScorer(
    _ purpose: TokenScorer.Purpose, random: RandomStream
  ) throws(ApusError) -> TokenScorer {
    if case .tags(let count) = purpose, count < 1 {
      throw ApusError(
        .invalidConfig, at: "tags", "\(count) tags cannot be told apart",
        remedy: "Give the tags of the data")
    }
    let model = try TokenScorer(checkpoint.architecture, checkpoint.config, purpose)
    try load(into: model)
    var stored: [String: Tensor] = [:]
    if checkpoint.hasClass(purpose == .answer ? "ForQuestionAnswering" : "ForTokenClassification") {
      for name in model.headNames.flatMap({ ["\($0).weight", "\($0).bias"] })
      where checkpoint.weights.names.contains(name) {
        stored[name] = try checkpoint.weights.tensor(name).to(.float32, device: device)
      }
    }
    try model.setHead(NamedTensors(stored), random: random, device: device)
    return model
  }

  /// Makes a model of masked words over the shared weights, with the checkpoint's own head.
  ///
  /// - Returns: The model, frozen.
  /// - Throws: ``ApusError`` `.unsupported` for an architecture without such a head,
  ///   `.checkpointMismatch` for a file without it, and as for other models.
  public func makeMaskedLanguageModel() throws(ApusError) -> MaskedLanguageModel {
    let names = Set(checkpoint.weights.names)
    let keys = try MaskedLanguageModel.headKeys(checkpoint.architecture, checkpoint.config)
    guard let bias = keys.bias.first(where: names.contains) else {
      throw ApusError(
        .checkpointMismatch, at: checkpoint.folder.path,
        "the weights have no head that guesses masked words (\(keys.bias[0]))",
        remedy: "Take a checkpoint as it was pretrained, not one of a classifier or encoder")
    }
    let model = try MaskedLanguageModel(
      checkpoint.architecture, checkpoint.config, bias: bias)
    var head: [String: Tensor] = [:]
    for part in [keys.dense, keys.norm].flatMap({ ["\($0).weight", "\($0).bias"] }) + [bias]
    where names.contains(part) {
      head[part] = try checkpoint.weights.tensor(part).to(.float32, device: device)
    }
    try load(into: model, beside: NamedTensors(head))
    return model
  }

  /// Gives a model the encoder's weights, and a head those beside it; a head without may stay.
  private func load(into model: Module, beside head: NamedTensors? = nil) throws(ApusError) {
    let prefix = "\(checkpoint.architecture.prefix)."
    let ignored = (checkpoint.architecture.optionalParts + ["pooler."]).map { prefix + $0 }
    try model.load(
      head.map { weights.merging($0) } ?? weights, file: checkpoint.folder.path,
      ignoring: { key in ignored.contains(where: key.hasPrefix) },
      optional: { (head == nil && !$0.hasPrefix(prefix)) || isPacked($0) })
    keepPacked(in: model)
  }
}

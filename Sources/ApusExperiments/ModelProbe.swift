import ApusAdapters
public import ApusBase
import ApusCore
import ApusModels
import ApusTorch
public import Foundation

/// Sends given token ids through a checkpoint: how parity is checked from outside.
public enum ModelProbe {
  /// Reads token ids, runs the model in evaluation, writes what it gives.
  ///
  /// - Parameters:
  ///   - checkpoint: A checkpoint folder.
  ///   - adapter: An adapter folder for it; nil for the checkpoint alone.
  ///   - input: Safetensors with `input_ids` [B, L] and, optionally, `attention_mask` and
  ///     `token_type_ids`. Masked places of encoders are to the right of the tokens; those of
  ///     decoders are anywhere, and tokens stand where their columns are, as in transformers.
  ///   - output: Gets `logits` [B, C] of a classifier or [B, L, V] of a language model, or
  ///     `last_hidden_state` [B, L, D] and, of architectures with a pooler, `pooler_output` [B, D] if
  ///     neither checkpoint nor adapter has a head.
  /// - Throws: ``ApusError`` for files that are missing, malformed or do not fit together.
  public static func writeOutputs(
    checkpoint: URL, adapter: URL?, input: URL, output: URL
  ) throws(ApusError) {
    let opened = try Checkpoint(folder: checkpoint)
    let batch = try batch(
      SafetensorsFile(contentsOf: input), file: input.path,
      allowsGaps: opened.architecture.isDecoder)
    let folder = try adapter.map { (url) throws(ApusError) in try AdapterFolder(reading: url) }
    let writes = folder?.task.map { $0 == .causalLanguageModel } ?? opened.isLanguageModel
    guard !writes else {
      let model = try Backbone(opened).makeLanguageModel()
      if let folder { _ = try AdaptedModel(model, folder) }
      try model.check(batch.tokens)
      let logits = batch.spread(model.evaluatedLogits(batch.tokens))
      try Tensor.check(checkpoint.path)
      return try Safetensors.write(
        [("logits", logits)], metadata: ["format": "pt"], to: output)
    }
    let head = folder?.classCount
    let pooling = folder?.notes.flatMap { Pooling(rawValue: $0.pooling) } ?? opened.pooling
    let labels = folder?.labelCount(beside: opened) ?? max(opened.labels.count, 1)
    let model = try Backbone(opened).makeClassifier(
      labels: labels, pooling: pooling, random: RandomStream(seed: 0))
    if let folder { _ = try AdaptedModel(model, folder) }
    try model.check(batch.tokens)
    var results: [(name: String, tensor: Tensor)] = []
    if head != nil || !model.hasFreshHead {
      results.append(("logits", model.evaluatedLogits(batch.tokens)))
    } else {
      let hidden = withoutGradient { model.hidden(batch.tokens).to(.float32) }
      results.append(("last_hidden_state", batch.spread(hidden)))
      if pooling == .cls, opened.architecture.hasPooler {
        results.append(("pooler_output", withoutGradient { model.features(batch.tokens) }))
      }
    }
    try Tensor.check(checkpoint.path)
    try Safetensors.write(results, metadata: ["format": "pt"], to: output)
  }

  /// Examples without their padding, and the columns in which their tokens stood.
  private struct Columns {
    let tokens: TokenBatch
    let places: [[Int]]
    let width: Int

    /// Rows [T, …] at their columns [B, L, …], with zeros at masked places.
    func spread(_ rows: Tensor) -> Tensor {
      var order = Array(repeating: tokens.layout.rowCount, count: places.count * width)
      var row = 0
      for (example, own) in places.enumerated() {
        for place in own {
          order[example * width + place] = row
          row += 1
        }
      }
      let empty = Tensor.zeros([1, rows.size(1)], dtype: rows.dtype, device: rows.device)
      return concatenated([rows, empty])
        .indexSelected(0, Tensor(order, shape: [order.count]).to(device: rows.device))
        .reshaped([places.count, width, rows.size(1)])
    }
  }

  /// The examples of an input file, without their padding.
  private static func batch(
    _ file: SafetensorsFile, file name: String, allowsGaps: Bool
  ) throws(ApusError) -> Columns {
    let ids = try file.tensor("input_ids")
    guard ids.rank == 2, ids.size(0) > 0, ids.size(1) > 0 else {
      throw ApusError(
        .invalidData, at: "\(name), input_ids", "expected shape [B, L], got \(ids.shape)",
        remedy: "Write one row for each example")
    }
    let mask = try optional("attention_mask", like: ids, in: file, name) ?? ids.onesLike
    let types = try optional("token_type_ids", like: ids, in: file, name)
    let width = ids.size(1)
    var examples: [[Int]] = []
    var segments: [[Int]] = []
    var places: [[Int]] = []
    let (allIDs, allMask, allTypes) = (ids.ints, mask.ints, types?.ints)
    for row in 0..<ids.size(0) {
      let range = (row * width)..<((row + 1) * width)
      let own = range.filter { allMask[$0] != 0 }
      let isRight = own.last.map { $0 - range.lowerBound + 1 == own.count } ?? false
      guard !own.isEmpty, isRight || allowsGaps else {
        throw ApusError(
          .unsupported, at: "\(name), attention_mask, row \(row)",
          "masked places must be to the right of at least one token",
          remedy: own.isEmpty ? "Leave rows without a token out" : "Pad on the right")
      }
      examples.append(own.map { allIDs[$0] })
      segments.append(own.map { allTypes?[$0] ?? 0 })
      places.append(own.map { $0 - range.lowerBound })
    }
    try Tensor.check(name)
    let tokens = try TokenBatch(
      examples, types: segments, positions: allowsGaps ? places : nil)
    return Columns(tokens: tokens, places: places, width: width)
  }

  private static func optional(
    _ key: String, like ids: Tensor, in file: SafetensorsFile, _ name: String
  ) throws(ApusError) -> Tensor? {
    guard file.names.contains(key) else { return nil }
    let tensor = try file.tensor(key)
    guard tensor.shape == ids.shape else {
      throw ApusError(
        .shapeMismatch, at: "\(name), \(key)",
        "expected the shape \(ids.shape) of input_ids, got \(tensor.shape)",
        remedy: "Write both for the same examples")
    }
    return tensor
  }
}

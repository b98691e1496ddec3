public import ApusBase
public import ApusCore
public import ApusTorch

/// Reads a source text and says of every token of another how likely each entry of the vocabulary
/// is to follow it.
///
/// Keys are those of transformers' `…ForConditionalGeneration`.
///
/// - Shapes: S rows of sources, T rows of targets, B examples, D hidden size, V vocabulary.
public final class SequenceToSequenceModel: Module {
  private let body: Key<any EncoderDecoder>
  /// As in ``CausalLanguageModel/recomputedLeaves``; the encoder's blocks alone are computed again.
  public var recomputedLeaves: (() -> [Tensor])?
  let lm_head: Linear?
  let final_logits_bias: Parameter?

  /// A model without weights yet; with an output layer of its own if the checkpoint has one.
  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode, hasOutput: Bool, hasBias: Bool
  ) throws(ApusError) {
    guard let make = architecture.makeEncoderDecoder else {
      throw ApusError(
        .unsupported, at: config["model_type"].place,
        "\(architecture.modelType) does not write a text beside a source",
        remedy: "Give a checkpoint of "
          + ModelCatalog.all.filter { $0.makeEncoderDecoder != nil }.map(\.modelType)
          .joined(separator: ", "))
    }
    let body = try make(config)
    let shape = body.shared.weight.shape
    lm_head = hasOutput ? Linear(shape[1], shape[0], bias: false) : nil
    final_logits_bias = hasBias ? Parameter(1, shape[0]) : nil
    self.body = Key(wrappedValue: body, architecture.prefix)
  }

  private var model: any EncoderDecoder { body.wrappedValue }

  /// V.
  public var vocabularySize: Int { model.shared.weight.shape[0] }

  /// Where the weights are.
  public var device: Device { model.shared.weight.value.device }

  /// Tokens at the beginning of every source that see all of it and are seen by all; only LED has
  /// them, and none unless they are asked for.
  public var globalTokens: Int {
    get { (model as? LED)?.globalTokens ?? 0 }
    set { (model as? LED)?.globalTokens = newValue }
  }

  /// Packs sources and what is to be written beside them.
  ///
  /// - Parameters:
  ///   - sources: Token ids of each source, at least one.
  ///   - targets: Token ids of what is to be written, at least one, its end token included.
  /// - Returns: The batch; the decoder reads each target one token late.
  /// - Throws: ``ApusError`` `.invalidData` for empty texts, or tokens that the model does not have.
  public func batch(
    _ sources: [[Int]], _ targets: [[Int]]
  ) throws(ApusError) -> SequencePairBatch {
    let batch = try SequencePairBatch(
      sources, inputs: targets.map { model.decoderInput(for: $0) }, targets: targets,
      device: device)
    try model.checkSource(batch.source)
    try model.checkTarget(batch.input)
    return batch
  }

  /// Vectors of what the decoder read [T, D] in the backbone's dtype.
  public func hidden(_ batch: SequencePairBatch, random: RandomStream?) -> Tensor {
    let source = ForwardPass(
      layout: batch.source.layout, random: random?.substream("source"),
      recomputedLeaves: recomputedLeaves?())
    let rows = model.encoded(batch.source, source)
    let plan = WholeTargets(
      batch.input.layout, source: rows, sourceLayout: batch.source.layout,
      heads: model.decoderHeads)
    let target = ForwardPass(layout: batch.input.layout, random: random?.substream("target"))
    return model.decoded(batch.input, .whole(plan), target)
  }

  /// Unnormalized scores of what follows each row: [n, D] to [n, V] in float32.
  public func scores(_ hidden: Tensor) -> Tensor {
    let scaled = model.outputScale == 1 ? hidden : hidden * model.outputScale
    let table = model.shared.weight.value
    let logits = (lm_head.map { $0(scaled) } ?? linear(scaled, weight: table)).to(.float32)
    return final_logits_bias.map { logits + $0.value.to(.float32) } ?? logits
  }

  /// Scores [T, V] in float32, for training if there is a source of chance.
  public func logits(_ batch: SequencePairBatch, random: RandomStream?) -> Tensor {
    scores(hidden(batch, random: random))
  }

  /// Scores in evaluation [T, V]: no dropout, no graph.
  public func evaluatedLogits(_ batch: SequencePairBatch) -> Tensor {
    withoutGradient { logits(batch, random: nil) }
  }

  /// Mean cross entropy over the target tokens, in nats.
  ///
  /// - Parameters:
  ///   - batch: Sources and targets; a negative target counts nothing.
  ///   - labelSmoothing: Share of the target that is spread evenly over the vocabulary, 0..<1.
  ///   - random: Source of dropout; nil in evaluation.
  /// - Returns: The loss, a scalar.
  public func loss(
    _ batch: SequencePairBatch, labelSmoothing: Double = 0, random: RandomStream?
  ) -> Tensor {
    crossEntropy(
      logits(batch, random: random), batch.targets, labelSmoothing: labelSmoothing)
  }
}

/// Sources, and what is to be written beside them, packed without padding.
///
/// - Shapes: T target tokens.
public struct SequencePairBatch: Sendable {
  /// The sources.
  public let source: TokenBatch
  /// What the decoder reads.
  public let input: TokenBatch
  /// What is to follow each of its tokens [T] int64.
  public let targets: Tensor

  init(
    _ sources: [[Int]], inputs: [[Int]], targets: [[Int]], device: Device
  ) throws(ApusError) {
    guard sources.count == targets.count else {
      throw ApusError(
        .invalidData, at: "batch",
        "there are \(sources.count) sources and \(targets.count) targets",
        remedy: "Give one target for each source")
    }
    source = try TokenBatch(sources, device: device)
    input = try TokenBatch(
      zip(inputs, targets).map { $1.isEmpty ? [] : $0.map { max(0, $0) } }, device: device)
    let wanted = targets.flatMap { $0.map { $0 < 0 ? -100 : $0 } }
    self.targets = Tensor(wanted, shape: [wanted.count]).to(device: device)
  }
}

extension SequenceToSequenceModel: GenerativeModel {
  public func begin(
    _ inputs: [[Int]], newTokens: Int
  ) throws(ApusError) -> GenerationStart<SourceMemory> {
    let batch = try TokenBatch(inputs, device: device)
    try model.checkSource(batch)
    try model.checkTarget(TokenBatch([Array(repeating: 0, count: newTokens)]))
    let rows = withoutGradient { model.encoded(batch, ForwardPass(layout: batch.layout)) }
    let memory = SourceMemory(source: rows, layout: batch.layout)
    let starts = inputs.map { _ in model.startToken }
    return GenerationStart(
      memory: memory, beginnings: starts.map { [$0] }, logits: try next(after: starts, memory))
  }

  public func next(after tokens: [Int], _ memory: SourceMemory) throws(ApusError) -> Tensor {
    let batch = try TokenBatch(tokens.map { [$0] }, device: device)
    let logits = withoutGradient {
      scores(model.decoded(batch, .step(memory), ForwardPass(layout: batch.layout)))
    }
    memory.advance()
    try Tensor.check("generation")
    return logits
  }
}

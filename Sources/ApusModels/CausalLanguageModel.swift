public import ApusBase
public import ApusCore
public import ApusTorch

/// Says of every token how likely each entry of the vocabulary is to follow it.
///
/// Keys are those of transformers' `…ForCausalLM`.
///
/// - Shapes: T tokens, B examples, D hidden size, V vocabulary.
public final class CausalLanguageModel: Module {
  /// Gives everything that trains, if blocks are to be computed again in the backward pass, which
  /// saves the memory of their activations; nil if they keep what they computed.
  public var recomputedLeaves: (() -> [Tensor])?
  private let decoder: Key<any TextDecoder>
  let lm_head: Linear?

  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode
  ) throws(ApusError) {
    guard let makeDecoder = architecture.makeDecoder else {
      throw ApusError(
        .unsupported, at: config["model_type"].place,
        "\(architecture.modelType) does not predict the next token",
        remedy: "Give a checkpoint of "
          + ModelCatalog.all.filter { $0.makeDecoder != nil }.map(\.modelType)
          .joined(separator: ", "))
    }
    let decoder = try makeDecoder(config)
    let shape = decoder.tokens.weight.shape
    lm_head = decoder.tiesOutput ? nil : Linear(shape[1], shape[0], bias: false)
    self.decoder = Key(wrappedValue: decoder, architecture.prefix)
  }

  /// V.
  public var vocabularySize: Int { decoder.wrappedValue.tokens.weight.shape[0] }

  /// Refuses tokens that the embedding tables do not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  public func check(_ batch: TokenBatch) throws(ApusError) {
    try decoder.wrappedValue.check(batch)
  }

  /// Where the weights are.
  public var device: Device { decoder.wrappedValue.tokens.weight.value.device }

  /// Refuses more tokens than the model has positions for.
  func requirePlace(for count: Int) throws(ApusError) {
    guard let limit = decoder.wrappedValue.positionLimit, count > limit else { return }
    throw ApusError(
      .invalidData, at: "generation", "\(count) tokens exceed the \(limit) positions of the model",
      remedy: "Shorten the prompts, or write fewer new tokens")
  }

  /// Vectors of all tokens [T, D] in the backbone's dtype; arguments as in ``TextDecoder``.
  public func hidden(
    _ batch: TokenBatch, random: RandomStream? = nil, cache: KeyValueCache? = nil
  ) -> Tensor {
    let pass = ForwardPass(
      layout: batch.layout, random: random, recomputedLeaves: recomputedLeaves?())
    return decoder.wrappedValue.hidden(batch, pass, cache: cache)
  }

  /// Unnormalized scores of what follows each row: [n, D] to [n, V] in float32.
  public func scores(_ hidden: Tensor) -> Tensor {
    let table = decoder.wrappedValue.tokens.weight.value
    let logits = (lm_head.map { $0(hidden) } ?? linear(hidden, weight: table)).to(.float32)
    guard let cap = decoder.wrappedValue.logitSoftCap else { return logits }
    return tanh(logits / cap) * cap
  }

  /// Scores in evaluation [T, V]: no dropout, no graph.
  public func evaluatedLogits(_ batch: TokenBatch) -> Tensor {
    withoutGradient { scores(hidden(batch)) }
  }

  /// Scores [n, V] of the tokens that something is to follow, and what [n].
  ///
  /// - Parameters:
  ///   - batch: The tokens.
  ///   - targets: For each token [T] the entry that is to follow it; negative where nothing counts.
  ///   - random: Source of dropout; nil in evaluation.
  /// - Returns: Rows in the order of the tokens; none if nothing counts.
  public func scores(
    _ batch: TokenBatch, targets: [Int], random: RandomStream?
  ) -> (logits: Tensor, targets: Tensor) {
    scores(of: hidden(batch, random: random), targets: targets)
  }

  /// The same from the vectors of all tokens [T, D].
  public func scores(of hidden: Tensor, targets: [Int]) -> (logits: Tensor, targets: Tensor) {
    let counted = targets.indices.filter { targets[$0] >= 0 }
    let rows = Tensor(counted, shape: [counted.count]).to(device: hidden.device)
    let wanted = Tensor(counted.map { targets[$0] }, shape: [counted.count])
    return (scores(hidden.indexSelected(0, rows)), wanted.to(device: hidden.device))
  }

  /// Mean cross entropy over the tokens that count, in nats; arguments as in ``scores(_:targets:random:)``.
  public func loss(_ batch: TokenBatch, targets: [Int], random: RandomStream?) -> Tensor {
    let (logits, wanted) = scores(batch, targets: targets, random: random)
    return crossEntropy(logits, wanted)
  }

  /// What follows each token of whole examples that are their own targets, in the order of the rows.
  ///
  /// - Parameters:
  ///   - examples: Token ids.
  ///   - counted: Whether a token counts as a target; the first of an example never does.
  /// - Returns: For each token the one behind it, or −100.
  public static func targets(
    _ examples: [[Int]], counted: (_ example: Int, _ place: Int) -> Bool = { _, _ in true }
  ) -> [Int] {
    examples.enumerated().flatMap { example, ids in
      ids.indices.map { place in
        let next = place + 1
        return next < ids.count && counted(example, next) ? ids[next] : -100
      }
    }
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// The sum of what is embedded of each token, normalized.
///
/// - Shapes: T tokens, E embedding size, D hidden size; E = D without `embed_proj`.
final class TextEmbeddings: Module {
  let word_embeddings: Embedding
  let position_embeddings: Embedding?
  let token_type_embeddings: Embedding?
  let embed_proj: ProjectionSite?
  let LayerNorm: ApusCore.LayerNorm
  private let dropout: Dropout

  /// Tables without values yet.
  ///
  /// - Parameters:
  ///   - config: Lengths of the tables, the norm's epsilon, dropout.
  ///   - size: E; nil for D.
  ///   - hasPositions: Whether positions are embedded.
  ///   - isProjected: Whether vectors of another length than D are projected before the norm.
  init(
    _ config: EncoderConfig, size: Int? = nil, hasPositions: Bool = true, isProjected: Bool = false
  ) {
    let size = size ?? config.hidden_size
    word_embeddings = Embedding(config.vocab_size, size)
    position_embeddings =
      hasPositions ? Embedding(config.max_position_embeddings, size) : nil
    token_type_embeddings =
      config.type_vocab_size > 0 ? Embedding(config.type_vocab_size, size) : nil
    embed_proj =
      isProjected && size != config.hidden_size
      ? ProjectionSite(size, config.hidden_size, bias: false) : nil
    LayerNorm = ApusCore.LayerNorm(
      isProjected ? config.hidden_size : size, epsilon: config.layer_norm_eps)
    dropout = Dropout(config.hidden_dropout_prob)
  }

  /// Tokens to rows [T, D], or [T, E] if they are projected later.
  ///
  /// - Parameters:
  ///   - batch: The tokens.
  ///   - positions: Their rows in the table of positions; nil for the places in their examples.
  ///   - pass: Source of dropout.
  /// - Returns: Normalized rows.
  func callAsFunction(
    _ batch: TokenBatch, positions: Tensor? = nil, _ pass: ForwardPass
  ) -> Tensor {
    var sum = word_embeddings(batch.ids)
    if let token_type_embeddings { sum = sum + token_type_embeddings(batch.types) }
    if let position_embeddings { sum = sum + position_embeddings(positions ?? batch.positions) }
    if let embed_proj { sum = embed_proj(sum, pass.scoped("embed_proj")) }
    return dropout(LayerNorm(sum), pass, "embeddings")
  }
}

extension TokenBatch {
  /// Refuses tokens that the embedding tables do not have.
  ///
  /// - Parameters:
  ///   - ids: Entries of the vocabulary.
  ///   - types: Kinds of segments; nil if the model does not look at them.
  ///   - positions: Tokens of the longest example; nil if any number has its place.
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  func requireFit(ids: Int, types: Int?, positions: Int?) throws(ApusError) {
    let found = [
      ("token id", bounds.id, ids), ("token type", bounds.type, types ?? .max),
      ("position", bounds.position, positions ?? .max),
    ]
    for (what, found, limit) in found where found >= limit || bounds.hasNegative {
      let cut = positions.map { ", and cut texts to \($0) tokens at most" } ?? ""
      throw ApusError(
        .invalidData, at: "batch, \(what) \(found)", "the model has \(limit), numbered from 0",
        remedy: "Use the tokenizer of the checkpoint\(cut)")
    }
  }
}

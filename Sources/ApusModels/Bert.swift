internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// BERT, a transformer encoder: token, position and segment embeddings, then blocks of attention
/// and feed-forward, each with its residual stream normalized after the sum.
///
/// Properties are the checkpoint's keys below `bert`. Tokens are rows without padding; only the
/// attention pads them.
///
/// - Shapes: T rows (tokens of all examples), B examples, L longest, D hidden size, H heads,
///   d = D / H.
/// - Source: Devlin et al., arXiv 1810.04805; transformers, `models/bert/modeling_bert.py`.
final class Bert: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: PostNormEncoder
  let pooler: BertPooler?
  private let config: EncoderConfig

  /// A model without weights yet, with the pooler that BERT's own classifiers use or without.
  init(_ config: EncoderConfig, hasPooler: Bool) {
    self.config = config
    embeddings = TextEmbeddings(config)
    encoder = PostNormEncoder(config)
    pooler = hasPooler ? BertPooler(config) : nil
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "bert", prefix: "bert", classPrefix: "Bert", hasPooler: true,
    defaultTargets: ["query", "value"], ia3Targets: ["key", "value", "output.dense"],
    ia3FeedForward: ["output.dense"]
  ) { (config, hasPooler) throws(ApusError) in
    Bert(try EncoderConfig(config), hasPooler: hasPooler)
  } makeHead: { (config, size, labels) throws(ApusError) in
    let hidden = try config["hidden_dropout_prob"].probability(default: 0.1)
    let dropout = try config["classifier_dropout"].probability(default: hidden)
    return LinearHead(size, labels, dropout: dropout)
  }

  var hiddenSize: Int { config.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(
      ids: config.vocab_size, types: config.type_vocab_size,
      positions: config.max_position_embeddings)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }

  func pooled(_ hidden: Tensor, _ pass: ForwardPass) -> Tensor {
    let first = hidden.indexSelected(0, pass.layout.firstRows)
    return pooler.map { $0(first, pass) } ?? first
  }
}

/// A projection of each example's first token, as the next-sentence task trained it.
final class BertPooler: Module {
  let dense: ProjectionSite

  init(_ config: EncoderConfig) { dense = ProjectionSite(config.hidden_size, config.hidden_size) }

  /// First tokens [B, D] to [B, D].
  func callAsFunction(_ first: Tensor, _ pass: ForwardPass) -> Tensor {
    tanh(dense(first, pass.scoped("pooler")))
  }
}

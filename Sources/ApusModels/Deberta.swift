internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// DeBERTa, the first version: attention scores that also depend on the distance of query and key.
///
/// One projection, `in_proj`, gives queries, keys and values, head by head; biases of queries and
/// values stand beside it. Every distance has an embedding of its own.
///
/// - Shapes: T rows (tokens of all examples), B examples, L longest, D hidden size, H heads,
///   d = D / H, S span of distances.
/// - Source: He et al., arXiv 2006.03654; transformers, `models/deberta/modeling_deberta.py`.
final class Deberta: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: DisentangledEncoder
  private let config: DisentangledConfig

  /// A model without weights yet.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field of `config.json`,
  ///   `.unsupported` for heads that talk to each other.
  init(_ json: JSONNode) throws(ApusError) {
    try json["talking_head"].requireOff(
      "heads that talk to each other are not supported", "microsoft/deberta-base")
    let config = try DisentangledConfig(json, hasBuckets: false)
    self.config = config
    embeddings = TextEmbeddings(
      config.base, size: config.embedding_size, hasPositions: config.position_biased_input,
      isProjected: true)
    encoder = DisentangledEncoder(config) { DebertaSelfAttention(config) }
  }

  static let architecture = ModelCatalog.Architecture(
    modelType: "deberta", prefix: "deberta", classPrefix: "Deberta", hasPooler: false,
    defaultTargets: ["in_proj"], ia3Targets: ["in_proj", "output.dense"],
    ia3FeedForward: ["output.dense"], optionalParts: ["embeddings.position_embeddings."]
  ) { (config, _) throws(ApusError) in
    try Deberta(config)
  } makeHead: { (config, size, labels) throws(ApusError) in
    try ContextHead(config, size, labels)
  }

  var hiddenSize: Int { config.base.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) { try batch.requireFit(config) }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, pass), pass)
  }
}

/// Attention with terms for content and for distance, whose projections share one matrix.
final class DebertaSelfAttention: Module, DisentangledAttention {
  let in_proj: ProjectionSite
  let q_bias: Parameter
  let v_bias: Parameter
  let pos_proj: ProjectionSite?
  let pos_q_proj: ProjectionSite?
  let prefix = AttentionSite()
  private let attention: ScaledDotProduct
  private let dropout: Dropout
  private let heads: Int

  init(_ config: DisentangledConfig) {
    let (size, terms) = (config.base.hidden_size, config.pos_att_type)
    let isRelative = config.distances != nil
    in_proj = ProjectionSite(size, 3 * size, bias: false)
    q_bias = Parameter(size)
    v_bias = Parameter(size)
    pos_proj =
      isRelative && terms.contains("c2p") ? ProjectionSite(size, size, bias: false) : nil
    pos_q_proj = isRelative && terms.contains("p2c") ? ProjectionSite(size, size) : nil
    attention = ScaledDotProduct(
      dropout: config.base.attention_probs_dropout_prob, terms: 1 + terms.count)
    dropout = Dropout(config.base.hidden_dropout_prob)
    heads = config.base.num_attention_heads
  }

  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    let (count, size) = (rows.size(0), rows.size(1))
    let all = in_proj(rows, pass.scoped("in_proj")).reshaped([count, heads, 3, size / heads])
    let part = { (index: Int) in all.selected(2, index).reshaped([count, size]) }
    let q = part(0) + q_bias.value
    let (k, v) = (part(1), part(2) + v_bias.value)
    guard let distances, pos_proj != nil || pos_q_proj != nil else {
      return attention(q, k, v, layout, prefix, pass)
    }
    let table = dropout(distances.embeddings, pass, "distances")
    let projected = { [heads] (site: ProjectionSite?, term: String) -> Tensor? in
      site.map { $0(table, pass.scoped(term)).to(.float32) }
        .map { $0.reshaped([$0.size(0), heads, -1]).transposed(0, 1) }
    }
    let scores = DistanceScores(
      keys: projected(pos_proj, "c2p"), queries: projected(pos_q_proj, "p2c"),
      rows: distances.rows, heads: heads)
    return attention(q, k, v, layout, prefix, pass) { scores($0, $1) }
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// Self-attention of an encoder, with its output projection.
protocol SourceAttention: Module {
  /// Rows [S, D] to rows [S, D]; the pass has the examples' lengths.
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor
}

/// Projections of queries, keys, values and output, as both halves of BART have them.
class BartProjections: Module {
  let q_proj: ProjectionSite
  let k_proj: ProjectionSite
  let v_proj: ProjectionSite
  let out_proj: ProjectionSite
  let prefix = AttentionSite()
  fileprivate let attention: ScaledDotProduct

  init(_ config: BartConfig) {
    let size = config.d_model
    q_proj = ProjectionSite(size, size)
    k_proj = ProjectionSite(size, size)
    v_proj = ProjectionSite(size, size)
    out_proj = ProjectionSite(size, size)
    attention = ScaledDotProduct(dropout: config.attention_dropout)
  }

  /// Queries of rows [T, D].
  fileprivate func queries(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    q_proj(rows, pass.scoped("q_proj"))
  }

  /// Keys and values of rows [T, D].
  fileprivate func keysAndValues(
    _ rows: Tensor, _ pass: ForwardPass
  ) -> (keys: Tensor, values: Tensor) {
    (k_proj(rows, pass.scoped("k_proj")), v_proj(rows, pass.scoped("v_proj")))
  }
}

/// Attention within a source.
final class BartSourceAttention: BartProjections, SourceAttention {
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let (k, v) = keysAndValues(rows, pass)
    return out_proj(
      attention(queries(rows, pass), k, v, layout, prefix, pass), pass.scoped("out_proj"))
  }
}

/// Attention of a target, to itself or to the source.
final class BartTargetAttention: BartProjections {
  private let gather: TargetAttention

  init(_ config: BartConfig, block: Int) {
    gather = TargetAttention(
      attention: ScaledDotProduct(dropout: config.attention_dropout), block: block,
      heads: config.decoder_attention_heads)
    super.init(config)
  }

  /// Rows [T, D] to rows [T, D], by what their own text says so far.
  func own(_ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    let (k, v) = keysAndValues(rows, pass)
    return out_proj(
      gather.own(queries(rows, pass), k, v, plan, prefix, pass), pass.scoped("out_proj"))
  }

  /// Rows [T, D] to rows [T, D], by what the source says.
  func source(_ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    let context = gather.source(queries(rows, pass), plan, prefix, pass) {
      keysAndValues($0, pass)
    }
    return out_proj(context, pass.scoped("out_proj"))
  }
}

/// What blocks of both halves have: norms, the feed-forward, and how branches join the stream.
class BartBlock: Module {
  let self_attn_layer_norm: LayerNorm
  let fc1: ProjectionSite
  let fc2: ProjectionSite
  let final_layer_norm: LayerNorm
  let attentionBranch = ResidualSite()
  let feedForwardBranch = ResidualSite()
  private let config: BartConfig

  init(_ config: BartConfig, inner: Int) {
    self_attn_layer_norm = LayerNorm(config.d_model, epsilon: 1e-5)
    fc1 = ProjectionSite(config.d_model, inner)
    fc2 = ProjectionSite(inner, config.d_model)
    final_layer_norm = LayerNorm(config.d_model, epsilon: 1e-5)
    self.config = config
  }

  /// Rows [T, D] and what a sublayer makes of them, normalized before or after.
  fileprivate func join(
    _ rows: Tensor, _ norm: LayerNorm, _ site: ResidualSite, _ pass: ForwardPass,
    _ sublayer: (Tensor) -> Tensor
  ) -> Tensor {
    let entering = config.isPreNorm ? norm(rows) : rows
    let branch = Dropout(config.dropout)(sublayer(entering), pass, "branch")
    let sum = site(branch, input: entering, pass) + rows
    return config.isPreNorm ? sum : norm(sum)
  }

  /// The last branch: rows [T, D] to rows [T, D].
  fileprivate func feedForward(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    join(rows, final_layer_norm, feedForwardBranch, pass) { rows in
      let wide = config.activation_function(fc1(rows, pass.scoped("fc1")))
      let kept = Dropout(config.activation_dropout)(wide, pass, "activation")
      return fc2(kept, pass.scoped("fc2"))
    }
  }
}

/// One block of an encoder.
final class BartSourceBlock: BartBlock {
  let sequence = SequenceSite()
  private let self_attn: Key<any SourceAttention>

  init(_ config: BartConfig, _ attention: any SourceAttention) {
    self_attn = Key(wrappedValue: attention, "self_attn")
    super.init(config, inner: config.encoder_ffn_dim)
  }

  /// Rows [S, D] to rows [S, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let inside = pass.scoped("attention")
    let attended = join(rows, self_attn_layer_norm, attentionBranch, inside) {
      self_attn.wrappedValue($0, layout, inside)
    }
    return feedForward(attended, pass.scoped("output"))
  }
}

/// One block of a decoder.
final class BartTargetBlock: BartBlock {
  let self_attn: BartTargetAttention
  let encoder_attn: BartTargetAttention
  let encoder_attn_layer_norm: LayerNorm
  let sourceBranch = ResidualSite()

  init(_ config: BartConfig, block: Int) {
    self_attn = BartTargetAttention(config, block: block)
    encoder_attn = BartTargetAttention(config, block: block)
    encoder_attn_layer_norm = LayerNorm(config.d_model, epsilon: 1e-5)
    super.init(config, inner: config.decoder_ffn_dim)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    let (inside, across) = (pass.scoped("attention"), pass.scoped("source"))
    let attended = join(rows, self_attn_layer_norm, attentionBranch, inside) {
      self_attn.own($0, plan, inside)
    }
    let informed = join(attended, encoder_attn_layer_norm, sourceBranch, across) {
      encoder_attn.source($0, plan, across)
    }
    return feedForward(informed, pass.scoped("output"))
  }
}

/// The half that reads.
final class BartEncoder: Module {
  let embed_positions: Embedding
  let layers: [BartSourceBlock]
  let layernorm_embedding: LayerNorm
  let layer_norm: LayerNorm?
  private let config: BartConfig

  init(_ config: BartConfig, makeAttention: (_ block: Int) -> any SourceAttention) {
    embed_positions = Embedding(
      config.positions.source + config.positionOffset, config.d_model)
    layers = (0..<config.encoder_layers).map { BartSourceBlock(config, makeAttention($0)) }
    layernorm_embedding = LayerNorm(config.d_model, epsilon: 1e-5)
    layer_norm = config.isPreNorm ? LayerNorm(config.d_model, epsilon: 1e-5) : nil
    self.config = config
  }

  /// Embedded tokens and their positions [S] to rows [S, D].
  func callAsFunction(_ embedded: Tensor, _ positions: Tensor, _ pass: ForwardPass) -> Tensor {
    let placed = embedded + embed_positions(positions + Double(config.positionOffset))
    let rows = Dropout(config.dropout)(layernorm_embedding(placed), pass, "embeddings")
    let stack = BlockStack(
      heads: config.encoder_attention_heads, entrances: layers.map(\.sequence))
    let result = stack(rows, pass) { [layers] in layers[$0]($1, $2, $3) }
    return layer_norm?(result) ?? result
  }
}

/// The half that writes.
final class BartDecoder: Module {
  let embed_positions: Embedding
  let layers: [BartTargetBlock]
  let layernorm_embedding: LayerNorm
  let layer_norm: LayerNorm?
  private let config: BartConfig

  init(_ config: BartConfig) {
    embed_positions = Embedding(
      config.positions.target + config.positionOffset, config.d_model)
    layers = (0..<config.decoder_layers).map { BartTargetBlock(config, block: $0) }
    layernorm_embedding = LayerNorm(config.d_model, epsilon: 1e-5)
    layer_norm = config.isPreNorm ? LayerNorm(config.d_model, epsilon: 1e-5) : nil
    self.config = config
  }

  /// Embedded tokens and their positions [T] to rows [T, D].
  func callAsFunction(
    _ embedded: Tensor, _ positions: Tensor, _ plan: TargetPlan, _ pass: ForwardPass
  ) -> Tensor {
    let placed = embedded + embed_positions(positions + Double(config.positionOffset))
    let rows = Dropout(config.dropout)(layernorm_embedding(placed), pass, "embeddings")
    let result = layers.enumerated().reduce(rows) { rows, block in
      block.element(rows, plan, pass.scoped("layer", block.offset))
    }
    return layer_norm?(result) ?? result
  }
}

/// Both halves over one table of the vocabulary: BART, and what differs from it in the encoder only.
class BartTransformer: Module {
  let shared: Embedding
  let encoder: BartEncoder
  let decoder: BartDecoder
  fileprivate let config: BartConfig

  init(_ config: BartConfig, makeAttention: (_ block: Int) -> any SourceAttention) {
    shared = Embedding(config.vocab_size, config.d_model)
    encoder = BartEncoder(config, makeAttention: makeAttention)
    decoder = BartDecoder(config)
    self.config = config
  }

  final var outputScale: Double { 1 }
  final var hasOutputBias: Bool { true }
  final var startToken: Int { config.decoder_start_token_id }
  final var decoderHeads: Int { config.decoder_attention_heads }

  final func checkSource(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(ids: config.vocab_size, types: nil, positions: config.positions.source)
  }

  final func checkTarget(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(ids: config.vocab_size, types: nil, positions: config.positions.target)
  }

  final func encoded(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embedded(batch), batch.positions, pass.scoped("encoder"))
  }

  final func decoded(_ batch: TokenBatch, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    var positions = batch.positions
    if case .step(let memory) = plan { positions = positions + Double(memory.length) }
    return decoder(embedded(batch), positions, plan, pass.scoped("decoder"))
  }

  private func embedded(_ batch: TokenBatch) -> Tensor {
    let rows = shared(batch.ids)
    return config.scale_embedding ? rows * Double(config.d_model).squareRoot() : rows
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// The decoder of LLaMA and of what has its keys: blocks of causal attention and a gated
/// feed-forward, each branch normalized at its beginning, positions as rotations.
///
/// Properties are the checkpoint's keys below `model`. Tokens are rows without padding; only the
/// attention pads them.
///
/// - Shapes: T rows (tokens of all examples), D hidden size, H heads, K key heads, d head size.
/// - Source: Touvron et al., arXiv 2302.13971, §2.2; transformers,
///   `models/llama/modeling_llama.py`.
final class RotaryDecoder: Module, TextDecoder {
  let embed_tokens: Embedding
  let layers: [RotaryDecoderBlock]
  let norm: RMSNorm
  private let config: RotaryDecoderConfig

  /// A model without weights yet.
  init(_ config: RotaryDecoderConfig) {
    self.config = config
    embed_tokens = Embedding(config.vocab_size, config.hidden_size)
    layers = (0..<config.num_hidden_layers).map { RotaryDecoderBlock(config, index: $0) }
    norm = RMSNorm(
      config.hidden_size, epsilon: config.rms_norm_eps, offset: config.normOffset)
  }

  var hiddenSize: Int { config.hidden_size }
  var tokens: Embedding { embed_tokens }
  var tiesOutput: Bool { config.tie_word_embeddings }
  var positionLimit: Int? { nil }
  var logitSoftCap: Double? { config.final_logit_softcapping }
  var paddingToken: Int? { config.pad_token_id }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(ids: config.vocab_size, types: nil, positions: nil)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass, cache: KeyValueCache?) -> Tensor {
    var rows = embed_tokens(batch.ids)
    if config.embeddingScale != 1 { rows = rows * config.embeddingScale }
    let run = DecoderRun(
      heads: config.num_key_value_heads,
      queries: config.num_attention_heads / config.num_key_value_heads, windows: config.windows,
      rotary: config.rotary, entrances: layers.map(\.sequence))
    return norm(run(rows, batch, pass, cache) { [layers] in layers[$0]($1, $2, $3) })
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class RotaryDecoderBlock: Module {
  let sequence = SequenceSite()
  let input_layernorm: RMSNorm
  let self_attn: RotaryAttention
  let post_attention_layernorm: RMSNorm
  let pre_feedforward_layernorm: RMSNorm?
  let mlp: GatedMLP
  let post_feedforward_layernorm: RMSNorm?
  let attentionBranch = ResidualSite()
  let feedForwardBranch = ResidualSite()

  init(_ config: RotaryDecoderConfig, index: Int) {
    let norm = {
      RMSNorm(config.hidden_size, epsilon: config.rms_norm_eps, offset: config.normOffset)
    }
    input_layernorm = norm()
    self_attn = RotaryAttention(config, index: index)
    post_attention_layernorm = norm()
    pre_feedforward_layernorm = config.hasBranchNorms ? norm() : nil
    mlp = GatedMLP(
      config.hidden_size, config.intermediate_size, bias: config.mlp_bias,
      activation: config.hidden_act)
    post_feedforward_layernorm = config.hasBranchNorms ? norm() : nil
  }

  /// Rows [T, D] to rows [T, D].
  ///
  /// Without norms at the ends of branches, the one that is called after the attention stands at
  /// the beginning of the second branch.
  func callAsFunction(_ rows: Tensor, _ plan: DecoderPlan, _ pass: ForwardPass) -> Tensor {
    let inside = pass.scoped("attention")
    let entering = input_layernorm(rows)
    var gathered = self_attn(entering, plan, inside)
    if pre_feedforward_layernorm != nil { gathered = post_attention_layernorm(gathered) }
    let attended = attentionBranch(gathered, input: entering, inside) + rows
    let outside = pass.scoped("output")
    let narrow = (pre_feedforward_layernorm ?? post_attention_layernorm)(attended)
    var widened = mlp(narrow, outside)
    if let post_feedforward_layernorm { widened = post_feedforward_layernorm(widened) }
    return feedForwardBranch(widened, input: narrow, outside) + attended
  }
}

/// Grouped-query attention over turned queries and keys, with its output projection.
final class RotaryAttention: Module {
  let q_proj: ProjectionSite
  let k_proj: ProjectionSite
  let v_proj: ProjectionSite
  let o_proj: ProjectionSite
  let q_norm: RMSNorm?
  let k_norm: RMSNorm?
  let prefix = AttentionSite()
  private let attention: CausalAttention
  private let index: Int
  private let headSize: Int

  init(_ config: RotaryDecoderConfig, index: Int) {
    let (size, bias) = (config.hidden_size, config.attention_bias)
    let queries = config.num_attention_heads * config.head_dim
    let keys = config.num_key_value_heads * config.head_dim
    q_proj = ProjectionSite(size, queries, bias: bias.inputs)
    k_proj = ProjectionSite(size, keys, bias: bias.inputs)
    v_proj = ProjectionSite(size, keys, bias: bias.inputs)
    o_proj = ProjectionSite(queries, size, bias: bias.output)
    let norm = { RMSNorm(config.head_dim, epsilon: config.rms_norm_eps) }
    q_norm = config.hasHeadNorms ? norm() : nil
    k_norm = config.hasHeadNorms ? norm() : nil
    attention = CausalAttention(
      scale: config.attentionScale, softCap: config.attn_logit_softcapping,
      window: config.windows[index], dropout: Dropout(config.attention_dropout),
      heads: config.num_key_value_heads)
    self.index = index
    headSize = config.head_dim
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ plan: DecoderPlan, _ pass: ForwardPass) -> Tensor {
    let q = normalized(q_proj(rows, pass.scoped("q_proj")), q_norm)
    let k = normalized(k_proj(rows, pass.scoped("k_proj")), k_norm)
    let v = v_proj(rows, pass.scoped("v_proj"))
    let context = attention(q, k, v, block: index, plan, prefix, pass)
    return o_proj(context, pass.scoped("o_proj"))
  }

  /// Rows [T, n·d] with every head normalized by itself.
  private func normalized(_ rows: Tensor, _ norm: RMSNorm?) -> Tensor {
    guard let norm else { return rows }
    return norm(rows.reshaped([rows.size(0), -1, headSize])).reshaped(rows.shape)
  }
}

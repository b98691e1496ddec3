internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// GPT-2: blocks of causal attention and feed-forward, each branch normalized at its beginning,
/// positions embedded.
///
/// Checkpoints keep the matrices of its projections with their axes exchanged (transformers calls
/// such a layer `Conv1D`, PEFT says `fan_in_fan_out`); here they are [d_out, d_in] like all others.
/// One projection makes queries, keys and values.
///
/// - Shapes: T rows (tokens of all examples), D hidden size (`n_embd`), H heads, d = D / H.
/// - Source: Radford et al., "Language models are unsupervised multitask learners", 2019;
///   transformers, `models/gpt2/modeling_gpt2.py`.
final class GPT2: Module, TextDecoder {
  let wte: Embedding
  let wpe: Embedding
  let h: [GPT2Block]
  let ln_f: LayerNorm
  private let config: GPT2Config
  private let dropout: Dropout

  /// A model without weights yet.
  init(_ config: GPT2Config) {
    self.config = config
    wte = Embedding(config.vocab_size, config.n_embd)
    wpe = Embedding(config.n_positions, config.n_embd)
    h = (0..<config.n_layer).map { GPT2Block(config, index: $0) }
    ln_f = LayerNorm(config.n_embd, epsilon: config.layer_norm_epsilon)
    dropout = Dropout(config.embd_pdrop)
  }

  static let architecture = ModelCatalog.Architecture(
    decoder: "gpt2", prefix: "transformer", classPrefix: "GPT2", defaultTargets: ["c_attn"],
    ia3Targets: ["c_attn", "mlp.c_proj"], ia3FeedForward: ["mlp.c_proj"],
    computedTables: [".attn.bias", ".attn.masked_bias"]
  ) { (config) throws(ApusError) in
    GPT2(try GPT2Config(config))
  }

  var hiddenSize: Int { config.n_embd }
  var tokens: Embedding { wte }
  var tiesOutput: Bool { config.tie_word_embeddings }
  var positionLimit: Int? { config.n_positions }
  var logitSoftCap: Double? { nil }
  var paddingToken: Int? { config.pad_token_id }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(ids: config.vocab_size, types: nil, positions: config.n_positions)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass, cache: KeyValueCache?) -> Tensor {
    var positions = batch.positions
    if let next = cache?.nextPositions, !next.isEmpty {
      positions = Tensor(next, shape: [next.count]).to(device: positions.device)
    }
    let rows = dropout(wte(batch.ids) + wpe(positions), pass, "embeddings")
    let run = DecoderRun(
      heads: config.n_head, queries: 1, windows: h.map { _ in nil }, rotary: nil,
      entrances: h.map(\.sequence))
    return ln_f(run(rows, batch, pass, cache) { [h] in h[$0]($1, $2, $3) })
  }
}

/// What `config.json` says of a GPT-2; fields have their names there.
struct GPT2Config: Sendable {
  let vocab_size: Int
  let n_positions: Int
  let n_embd: Int
  let n_layer: Int
  let n_head: Int
  let n_inner: Int
  let activation_function: Activation
  let resid_pdrop: Double
  let embd_pdrop: Double
  let attn_pdrop: Double
  let layer_norm_epsilon: Double
  let scale_attn_weights: Bool
  let scale_attn_by_inverse_layer_idx: Bool
  let tie_word_embeddings: Bool
  let pad_token_id: Int?

  /// Reads the fields; those that decide a shape are needed, others default as in transformers.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for a missing or impossible field, `.unsupported` for a
  ///   variant that Apus does not implement.
  init(_ config: JSONNode) throws(ApusError) {
    vocab_size = try config["vocab_size"].size(upTo: 100_000_000)
    n_positions = try config["n_positions"].size(upTo: 10_000_000)
    n_embd = try config["n_embd"].size(upTo: 1_000_000)
    n_layer = try config["n_layer"].size(upTo: 1_000)
    n_head = try config["n_head"].size(upTo: 10_000)
    n_inner = try config["n_inner"].size(upTo: 10_000_000, default: 4 * n_embd)
    activation_function = try Activation(config["activation_function"], default: "gelu_new")
    resid_pdrop = try config["resid_pdrop"].probability(default: 0.1)
    embd_pdrop = try config["embd_pdrop"].probability(default: 0.1)
    attn_pdrop = try config["attn_pdrop"].probability(default: 0.1)
    layer_norm_epsilon = try config["layer_norm_epsilon"].number(in: 0...1, default: 1e-5)
    scale_attn_weights = try config["scale_attn_weights"].flag(default: true)
    scale_attn_by_inverse_layer_idx = try config["scale_attn_by_inverse_layer_idx"]
      .flag(default: false)
    tie_word_embeddings = try config["tie_word_embeddings"].flag(default: true)
    pad_token_id = config["pad_token_id"].exists ? try config["pad_token_id"].int() : nil
    try config["n_embd"].requireSplit(n_embd, into: n_head)
    try config["add_cross_attention"].requireOff(
      "attention to an encoder is not supported", "a decoder alone")
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class GPT2Block: Module {
  let sequence = SequenceSite()
  let ln_1: LayerNorm
  let attn: GPT2Attention
  let ln_2: LayerNorm
  let mlp: GPT2MLP
  let attentionBranch = ResidualSite()
  let feedForwardBranch = ResidualSite()

  init(_ config: GPT2Config, index: Int) {
    ln_1 = LayerNorm(config.n_embd, epsilon: config.layer_norm_epsilon)
    attn = GPT2Attention(config, index: index)
    ln_2 = LayerNorm(config.n_embd, epsilon: config.layer_norm_epsilon)
    mlp = GPT2MLP(config)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ plan: DecoderPlan, _ pass: ForwardPass) -> Tensor {
    let inside = pass.scoped("attention")
    let entering = ln_1(rows)
    let attended = attentionBranch(attn(entering, plan, inside), input: entering, inside) + rows
    let outside = pass.scoped("output")
    let narrow = ln_2(attended)
    return feedForwardBranch(mlp(narrow, outside), input: narrow, outside) + attended
  }
}

/// Multi-head attention from one projection, with its output projection.
final class GPT2Attention: Module {
  let c_attn: ProjectionSite
  let c_proj: ProjectionSite
  let prefix = AttentionSite()
  private let attention: CausalAttention
  private let index: Int
  private let dropout: Dropout

  init(_ config: GPT2Config, index: Int) {
    let size = config.n_embd
    c_attn = ProjectionSite(Linear(size, 3 * size, isStoredTransposed: true))
    c_proj = ProjectionSite(Linear(size, size, isStoredTransposed: true))
    let headSize = Double(size / config.n_head)
    let scale = config.scale_attn_weights ? 1 / headSize.squareRoot() : 1
    let depth = config.scale_attn_by_inverse_layer_idx ? Double(index + 1) : 1
    attention = CausalAttention(
      scale: scale / depth, dropout: Dropout(config.attn_pdrop), heads: config.n_head)
    self.index = index
    dropout = Dropout(config.resid_pdrop)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ plan: DecoderPlan, _ pass: ForwardPass) -> Tensor {
    let all = c_attn(rows, pass.scoped("c_attn"))
    let size = rows.size(1)
    let (q, k, v) = (
      all.sliced(1, 0..<size), all.sliced(1, size..<(2 * size)),
      all.sliced(1, (2 * size)..<(3 * size))
    )
    let context = attention(q, k, v, block: index, plan, prefix, pass)
    return dropout(c_proj(context, pass.scoped("c_proj")), pass, "c_proj")
  }
}

/// The feed-forward sublayer: wide and back, then dropout.
final class GPT2MLP: Module {
  let c_fc: ProjectionSite
  let c_proj: ProjectionSite
  private let activation: Activation
  private let dropout: Dropout

  init(_ config: GPT2Config) {
    c_fc = ProjectionSite(Linear(config.n_embd, config.n_inner, isStoredTransposed: true))
    c_proj = ProjectionSite(Linear(config.n_inner, config.n_embd, isStoredTransposed: true))
    activation = config.activation_function
    dropout = Dropout(config.resid_pdrop)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let wide = activation(c_fc(rows, pass.scoped("c_fc")))
    return dropout(c_proj(wide, pass.scoped("c_proj")), pass, "c_proj")
  }
}

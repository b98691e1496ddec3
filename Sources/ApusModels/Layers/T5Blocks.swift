internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// A sublayer: norm, attention or feed-forward, and the sum with what went in.
final class T5Sublayer<Inner: Module>: Module {
  let layer_norm: RMSNorm
  let branch = ResidualSite()
  private let inner: Key<Inner>
  private let dropout: Dropout

  init(_ config: T5Config, _ inner: Inner, named name: String) {
    layer_norm = config.norm()
    self.inner = Key(wrappedValue: inner, name)
    dropout = config.dropout
  }

  /// The attention or feed-forward.
  var module: Inner { inner.wrappedValue }

  /// Rows [T, D] to rows [T, D], by what the inner module makes of the normalized ones.
  func callAsFunction(
    _ rows: Tensor, _ pass: ForwardPass, _ body: (_ inner: Inner, _ rows: Tensor) -> Tensor
  ) -> Tensor {
    let entering = layer_norm(rows)
    let made = dropout(body(module, entering), pass, "branch")
    return branch(made, input: entering, pass) + rows
  }
}

/// The feed-forward, with a gate or without.
final class T5FeedForward: Module {
  let wi: ProjectionSite?
  let wi_0: ProjectionSite?
  let wi_1: ProjectionSite?
  let wo: ProjectionSite
  private let config: T5Config

  init(_ config: T5Config) {
    let isGated = config.feedForward.isGated
    let wide = { ProjectionSite(config.d_model, config.d_ff, bias: false) }
    wi = isGated ? nil : wide()
    wi_0 = isGated ? wide() : nil
    wi_1 = isGated ? wide() : nil
    wo = ProjectionSite(config.d_ff, config.d_model, bias: false)
    self.config = config
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    var inner = rows
    if let wi { inner = config.feedForward.activation(wi(rows, pass.scoped("wi"))) }
    if let wi_0, let wi_1 {
      let gate = config.feedForward.activation(wi_0(rows, pass.scoped("wi_0")))
      inner = gate * wi_1(rows, pass.scoped("wi_1"))
    }
    return wo(config.dropout(inner, pass, "inner"), pass.scoped("wo"))
  }
}

/// One block of an encoder, with a site at its entrance.
final class T5SourceBlock<Attention: T5SourceAttention>: Module {
  let sequence = SequenceSite()
  private let attending: Key<T5Sublayer<Attention>>
  private let widening: Key<T5Sublayer<T5FeedForward>>

  init(_ config: T5Config, _ attention: Attention) {
    attending = Key(
      wrappedValue: T5Sublayer(config, attention, named: Attention.key), "layer.0")
    widening = Key(
      wrappedValue: T5Sublayer(config, T5FeedForward(config), named: "DenseReluDense"), "layer.1")
  }

  var attention: Attention { attending.wrappedValue.module }

  /// Rows [S, D] to rows [S, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ pass: ForwardPass
  ) -> Tensor {
    let (inside, outside) = (pass.scoped("attention"), pass.scoped("output"))
    let attended = attending.wrappedValue(rows, inside) { $0($1, layout, biases, inside) }
    return widening.wrappedValue(attended, outside) { $0($1, outside) }
  }
}

/// One block of a decoder.
final class T5TargetBlock: Module {
  private let attending: Key<T5Sublayer<T5TargetAttention>>
  private let asking: Key<T5Sublayer<T5TargetAttention>>
  private let widening: Key<T5Sublayer<T5FeedForward>>

  init(_ config: T5Config, block: Int) {
    let attention = { (hasTable: Bool) in
      T5TargetAttention(config, block: block, hasTable: hasTable)
    }
    attending = Key(
      wrappedValue: T5Sublayer(config, attention(block == 0), named: "SelfAttention"), "layer.0")
    asking = Key(
      wrappedValue: T5Sublayer(config, attention(false), named: "EncDecAttention"), "layer.1")
    widening = Key(
      wrappedValue: T5Sublayer(config, T5FeedForward(config), named: "DenseReluDense"), "layer.2")
  }

  /// The table of distances; nil but for the first block.
  var table: Tensor? { attending.wrappedValue.module.relative_attention_bias?.weight.value }

  /// Rows [T, D] to rows [T, D]; `bias` gives the scores by distance for a length [H, L, L].
  func callAsFunction(
    _ rows: Tensor, _ plan: TargetPlan, _ pass: ForwardPass,
    bias: @escaping (_ length: Int) -> Tensor
  ) -> Tensor {
    let (inside, across) = (pass.scoped("attention"), pass.scoped("source"))
    let outside = pass.scoped("output")
    let attended = attending.wrappedValue(rows, inside) { $0.own($1, plan, inside, bias: bias) }
    let informed = asking.wrappedValue(attended, across) { $0.source($1, plan, across) }
    return widening.wrappedValue(informed, outside) { $0($1, outside) }
  }
}

/// The half that reads.
final class T5Encoder<Attention: T5SourceAttention>: Module {
  let block: [T5SourceBlock<Attention>]
  let final_layer_norm: RMSNorm
  private let config: T5Config

  init(_ config: T5Config, makeAttention: (_ block: Int) -> Attention) {
    block = (0..<config.num_layers).map { T5SourceBlock(config, makeAttention($0)) }
    final_layer_norm = config.norm()
    self.config = config
  }

  /// Embedded tokens [S, D] to rows [S, D].
  func callAsFunction(_ embedded: Tensor, _ pass: ForwardPass) -> Tensor {
    let stack = BlockStack(heads: config.num_heads, entrances: block.map(\.sequence))
    var biases: (lengths: [Int], all: T5Biases)?
    let rows = stack(config.dropout(embedded, pass, "embeddings"), pass) {
      [block] index, rows, layout, pass in
      // Prompts that come in at a block change the lengths.
      if biases?.lengths != pass.layout.lengths {
        biases = (pass.layout.lengths, block[0].attention.shared(layout, pass.layout))
      }
      return block[index](rows, layout, biases?.all ?? T5Biases(), pass)
    }
    return config.dropout(final_layer_norm(rows), pass, "output")
  }
}

/// The half that writes.
final class T5Decoder: Module {
  let block: [T5TargetBlock]
  let final_layer_norm: RMSNorm
  private let config: T5Config

  init(_ config: T5Config) {
    block = (0..<config.num_decoder_layers).map { T5TargetBlock(config, block: $0) }
    final_layer_norm = config.norm()
    self.config = config
  }

  /// Embedded tokens [T, D] to rows [T, D].
  func callAsFunction(_ embedded: Tensor, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    let table = block[0].table ?? Tensor.empty([0])
    let buckets = config.buckets(isBidirectional: false)
    let lengths =
      switch plan {
      case .whole(let whole): whole.layout.groups.map(\.length)
      case .step(let memory): [memory.length + 1]
      }
    let biases = Dictionary(
      lengths.map { ($0, buckets.bias(table, length: $0)) }, uniquingKeysWith: { first, _ in first }
    )
    var rows = config.dropout(embedded, pass, "embeddings")
    for (index, block) in block.enumerated() {
      rows = block(rows, plan, pass.scoped("layer", index)) {
        biases[$0] ?? Tensor.empty([0])
      }
    }
    return config.dropout(final_layer_norm(rows), pass, "output")
  }
}

/// Both halves over one table of the vocabulary: T5, and what differs from it in the encoder only.
class T5Transformer<Attention: T5SourceAttention>: Module, EncoderDecoder {
  let shared: Embedding
  let encoder: T5Encoder<Attention>
  let decoder: T5Decoder
  private let config: T5Config

  init(_ config: T5Config, makeAttention: (_ block: Int) -> Attention) {
    shared = Embedding(config.vocab_size, config.d_model)
    encoder = T5Encoder(config, makeAttention: makeAttention)
    decoder = T5Decoder(config)
    self.config = config
  }

  final var outputScale: Double {
    config.scale_decoder_outputs ? 1 / Double(config.d_model).squareRoot() : 1
  }
  final var hasOutputBias: Bool { false }
  final var startToken: Int { config.decoder_start_token_id }
  final var decoderHeads: Int { config.num_heads }

  final func checkSource(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(ids: config.vocab_size, types: nil, positions: nil)
  }

  final func checkTarget(_ batch: TokenBatch) throws(ApusError) { try checkSource(batch) }

  final func encoded(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(shared(batch.ids), pass.scoped("encoder"))
  }

  final func decoded(_ batch: TokenBatch, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor {
    decoder(shared(batch.ids), plan, pass.scoped("decoder"))
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// What the attentions of all blocks share in one pass: the embeddings of distances.
struct DistanceTable {
  /// One row a bucket [2S, D].
  let embeddings: Tensor
  /// The rows for all queries and keys of a length [L, L].
  let rows: [Int: Tensor]
}

/// Self-attention whose scores depend on content and distance.
protocol DisentangledAttention: Module {
  /// Rows [T, D] to rows [T, D], before `attention.output.dense`.
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor
}

/// The terms of attention scores that come from distances.
///
/// - Shapes: H heads, d head size, S span; B_g examples of length L_g.
/// - Source: He et al., arXiv 2006.03654, eq. 4.
struct DistanceScores {
  /// The embeddings, projected for content queries [H, 2S, d]; nil without the term c2p.
  let keys: Tensor?
  /// The embeddings, projected for content keys [H, 2S, d]; nil without the term p2c.
  let queries: Tensor?
  /// The rows for all queries and keys of a length [L, L].
  let rows: [Int: Tensor]
  let heads: Int

  /// Scores to add [B_g·H, L_g, L_g], divided already, of queries and keys [B_g·H, L_g, d].
  func callAsFunction(_ q: Tensor, _ k: Tensor) -> Tensor {
    let rows = rows[q.size(1)] ?? Tensor.empty([0])
    let toPosition = keys.map { scores(q, $0, rows) }
    let fromPosition = queries.map { scores(k, $0, rows.matrixTransposed).matrixTransposed }
    let parts = [toPosition, fromPosition].compactMap { $0 }
    let sum = parts.dropFirst().reduce(parts[0], +)
    return sum / Double((1 + parts.count) * q.size(2)).squareRoot()
  }

  /// Products of content [B_g·H, L_g, d] and distances [H, 2S, d], of which each place takes the
  /// row of its distance: [B_g·H, L_g, L_g].
  private func scores(_ content: Tensor, _ distances: Tensor, _ rows: Tensor) -> Tensor {
    let (count, length) = (content.size(0), content.size(1))
    let apart = content.reshaped([count / heads, heads, length, -1])
    let all = matmul(apart, distances.matrixTransposed).reshaped([count, length, -1])
    return all.gathered(2, rows.expanded([count, length, length]))
  }
}

/// The blocks of a DeBERTa, one after the other, and the embeddings of distances.
final class DisentangledEncoder: Module {
  let layer: [DisentangledLayer]
  let rel_embeddings: Embedding?
  let LayerNorm: ApusCore.LayerNorm?
  let conv: DebertaConvolution?
  private let distances: DistanceBuckets?
  private let heads: Int

  /// Blocks without weights yet.
  ///
  /// - Parameters:
  ///   - config: Shapes and distances.
  ///   - norm: Acts on the embeddings of distances, if the version has one.
  ///   - conv: Acts beside the first block, if the checkpoint has it.
  ///   - makeAttention: Called once for each block.
  init(
    _ config: DisentangledConfig, norm: ApusCore.LayerNorm? = nil,
    conv: DebertaConvolution? = nil, makeAttention: () -> any DisentangledAttention
  ) {
    heads = config.base.num_attention_heads
    layer = (0..<config.base.num_hidden_layers).map { _ in
      DisentangledLayer(config.base, makeAttention())
    }
    rel_embeddings = config.distances.map { Embedding(2 * $0.span, config.base.hidden_size) }
    LayerNorm = norm
    self.conv = conv
    distances = config.distances
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(_ rows: Tensor, _ pass: ForwardPass) -> Tensor {
    let table = rel_embeddings.map { LayerNorm?($0.weight.value) ?? $0.weight.value }
    var indices: [Int: Tensor] = [:]
    let stack = BlockStack(heads: heads, entrances: layer.map(\.sequence))
    return stack(rows, pass) { [self] index, rows, layout, pass in
      for group in layout.groups where indices[group.length] == nil {
        indices[group.length] = distances?.rows(length: group.length).to(device: rows.device)
      }
      let shared = table.map { DistanceTable(embeddings: $0, rows: indices) }
      let output = layer[index](rows, layout, shared, pass)
      guard index == 0, let conv else { return output }
      return conv(rows, residual: output, pass.scoped("conv"))
    }
  }
}

/// One block, with sites at its entrance and at the ends of both branches.
final class DisentangledLayer: Module {
  let sequence = SequenceSite()
  let attention: DisentangledSublayer
  let intermediate: Widening
  let output: ResidualOutput

  init(_ config: EncoderConfig, _ attention: any DisentangledAttention) {
    self.attention = DisentangledSublayer(config, attention)
    intermediate = Widening(config)
    output = ResidualOutput(config, inputs: config.intermediate_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    let attended = attention(rows, layout, distances, pass.scoped("attention"))
    let pass = pass.scoped("output")
    return output(intermediate(attended, pass), residual: attended, pass)
  }
}

/// Self-attention and the sum with what went in.
final class DisentangledSublayer: Module {
  let output: ResidualOutput
  private let selfAttention: Key<any DisentangledAttention>

  init(_ config: EncoderConfig, _ attention: any DisentangledAttention) {
    selfAttention = Key(wrappedValue: attention, "self")
    output = ResidualOutput(config, inputs: config.hidden_size)
  }

  /// Rows [T, D] to rows [T, D].
  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ distances: DistanceTable?, _ pass: ForwardPass
  ) -> Tensor {
    let attended = selfAttention.wrappedValue(rows, layout, distances, pass)
    return output(attended, residual: rows, pass)
  }
}

/// The head of DeBERTa's classifiers: two layers on the first token.
final class ContextHead: Module, SequenceHead {
  let pooler: ContextPooler
  let classifier: Linear
  let dropout: Dropout

  init(_ config: JSONNode, _ size: Int, _ labels: Int) throws(ApusError) {
    pooler = try ContextPooler(config, size)
    classifier = Linear(size, labels)
    let hidden = try config["hidden_dropout_prob"].probability(default: 0.1)
    dropout = Dropout(try config["cls_dropout"].probability(default: hidden))
  }

  var output: Linear { classifier }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor { pooler(pooled, pass) }
}

/// A projection of each example's first token, which belongs to the head.
final class ContextPooler: Module {
  let dense: ProjectionSite
  private let dropout: Dropout
  private let activation: Activation

  init(_ config: JSONNode, _ size: Int) throws(ApusError) {
    dense = ProjectionSite(size, size)
    dropout = Dropout(try config["pooler_dropout"].probability(default: 0))
    activation = try Activation(config["pooler_hidden_act"], default: "gelu")
  }

  /// First tokens [B, D] to [B, D].
  func callAsFunction(_ first: Tensor, _ pass: ForwardPass) -> Tensor {
    let pass = pass.scoped("pooler")
    return activation(dense(dropout(first, pass, "pooled"), pass))
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// LongT5: T5 whose source tokens see their neighbours only, and, in the transient-global form,
/// tokens that each stand for a block of the source.
///
/// Properties are the checkpoint's keys.
///
/// - Shapes: S rows of sources, D hidden size, H heads, d head size; w and n as in ``BandAttention``.
/// - Source: Guo et al., arXiv 2112.07916; transformers, `models/longt5/modeling_longt5.py`.
enum LongT5 {
  static let architecture = ModelCatalog.Architecture(
    encoderDecoder: "longt5", prefix: "", classPrefix: "LongT5", defaultTargets: ["q", "v"]
  ) { config throws(ApusError) in try make(config) }

  /// A model without weights yet.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` for `config.json`, `.unsupported` for another kind of
  ///   attention than `local` and `transient-global`.
  static func make(_ json: JSONNode) throws(ApusError) -> any EncoderDecoder {
    let config = try T5Config(json)
    let radius = try json["local_radius"].size(upTo: 1_000_000, default: 127)
    let node = json["encoder_attention_type"]
    let kind = node.exists ? try node.string() : "local"
    switch kind {
    case "local":
      return T5Transformer(config) {
        LongT5LocalAttention(config, radius: radius, hasTable: $0 == 0)
      }
    case "transient-global":
      let size = try json["global_block_size"].size(upTo: 1_000_000, default: 16)
      return T5Transformer(config) {
        LongT5TransientGlobalAttention(
          config, radius: radius, blockSize: size, hasTable: $0 == 0)
      }
    default:
      throw ApusError(
        .unsupported, at: node.place, "there is no attention \"\(kind)\"",
        remedy: Spelling.remedy(for: kind, allowed: ["local", "transient-global"]))
    }
  }
}

/// Attention to neighbours.
final class LongT5LocalAttention: T5Projections, T5SourceAttention {
  static let key = "LocalSelfAttention"
  private let band: BandAttention

  init(_ config: T5Config, radius: Int, hasTable: Bool) {
    band = BandAttention(radius: radius, scale: 1, dropout: config.dropout)
    super.init(config, hasTable: hasTable)
  }

  func shared(_ layout: HeadLayout, _ rows: RowLayout) -> T5Biases { bandBias(band) }

  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ pass: ForwardPass
  ) -> Tensor {
    attend(rows, layout, biases, band, pass) { _, _ in nil }
  }
}

/// Attention to neighbours and to tokens that stand for blocks of the source, made anew each time.
final class LongT5TransientGlobalAttention: T5Projections, T5SourceAttention {
  static let key = "TransientGlobalSelfAttention"
  let global_relative_attention_bias: Embedding?
  let global_input_layer_norm: RMSNorm
  private let band: BandAttention
  private let blockSize: Int

  init(_ config: T5Config, radius: Int, blockSize: Int, hasTable: Bool) {
    band = BandAttention(radius: radius, scale: 1, dropout: config.dropout)
    self.blockSize = blockSize
    global_relative_attention_bias =
      hasTable ? Embedding(config.relative_attention_num_buckets, config.num_heads) : nil
    global_input_layer_norm = config.norm()
    super.init(config, hasTable: hasTable)
  }

  func shared(_ layout: HeadLayout, _ rows: RowLayout) -> T5Biases {
    var biases = bandBias(band)
    biases.side = global_relative_attention_bias?.weight.value
    return biases
  }

  func callAsFunction(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ pass: ForwardPass
  ) -> Tensor {
    let lengths = pass.layout.lengths
    let counts = lengths.map { $0 / blockSize }
    guard counts.contains(where: { $0 > 0 }), let table = biases.side else {
      return attend(rows, layout, biases, band, pass) { _, _ in nil }
    }
    let globals = global_input_layer_norm(blockSums(rows, lengths, counts))
    let (k, v) = keysAndValues(globals, pass.scoped("global"))
    let blocks = HeadLayout(
      RowLayout(lengths: counts, device: rows.device), heads: config.num_heads,
      device: rows.device, members: layout.groups.map(\.examples))
    let (keys, values) = (blocks.split(k.to(.float32)), blocks.split(v.to(.float32)))
    return attend(rows, layout, biases, band, pass) { [self] index, length in
      let examples = layout.groups[index].examples
      guard blocks.groups[index].length > 0 else { return nil }
      return BandAttention.Side(
        keys: keys[index], values: values[index],
        added: sideBias(table, examples.map { counts[$0] }, length, blocks.groups[index].length))
    }
  }

  /// The sum over each block of a source; tokens behind the last whole block belong to it too.
  private func blockSums(_ rows: Tensor, _ lengths: [Int], _ counts: [Int]) -> Tensor {
    var (kept, targets): ([Int], [Int]) = ([], [])
    var (row, first) = (0, 0)
    for (length, count) in zip(lengths, counts) {
      if count > 0 {
        for place in 0..<length {
          kept.append(row + place)
          targets.append(first + min(place / blockSize, count - 1))
        }
      }
      (row, first) = (row + length, first + count)
    }
    let index = { (values: [Int]) in
      Tensor(values, shape: [values.count]).to(device: rows.device)
    }
    let sums = Tensor.zeros([first, rows.size(1)], dtype: rows.dtype, device: rows.device)
    return sums.indexAdded(0, index(targets), rows.indexSelected(0, index(kept)))
  }

  /// Scores of blocks by their distance in blocks [B_g·H, L, G]; examples have so many each.
  private func sideBias(_ table: Tensor, _ counts: [Int], _ length: Int, _ wide: Int) -> Tensor {
    let buckets = config.buckets(isBidirectional: true)
    let parts = counts.map { count in
      let distances = (0..<length).map { place in
        let own = min(place / blockSize, count - 1)
        return (0..<wide).map { $0 - own }
      }
      let hidden = (0..<wide).map { $0 < count ? 0 : Float(BandAttention.hidden) }
      return buckets.bias(table, distances: distances)
        + Tensor(hidden, shape: [1, 1, wide]).to(device: table.device)
    }
    return concatenated(parts)
  }
}

extension T5Projections {
  /// Scores by distance within a band.
  fileprivate func bandBias(_ band: BandAttention) -> T5Biases {
    guard let table = relative_attention_bias?.weight.value else { return T5Biases() }
    let buckets = config.buckets(isBidirectional: true)
    return T5Biases(own: [0: buckets.bias(table, distances: band.distances)])
  }

  /// Rows [S, D] to rows [S, D]; `side` gives the keys beside the band of a group and a length.
  fileprivate func attend(
    _ rows: Tensor, _ layout: HeadLayout, _ biases: T5Biases, _ band: BandAttention,
    _ pass: ForwardPass, side: (_ group: Int, _ length: Int) -> BandAttention.Side?
  ) -> Tensor {
    let heads = config.num_heads
    let (keys, values) = keysAndValues(rows, pass)
    let q = layout.split(queries(rows, pass).to(.float32))
    let (k, v) = (layout.split(keys.to(.float32)), layout.split(values.to(.float32)))
    let bias = biases.own[0].map { $0.unsqueezed(1) }  // [H, 1, w, 3w]
    let contexts = layout.groups.indices.map { index in
      let group = layout.groups[index]
      let spread = bias.map { bias in
        concatenated(Array(repeating: bias, count: group.exampleCount))
      }
      return band(
        q[index], k[index], v[index],
        visible: group.visible(pass.layout.lengths, heads: heads, device: rows.device),
        bias: spread, side: side(index, group.length), pass.scoped("group", index))
    }
    return output(layout.join(contexts).to(rows.dtype), pass)
  }
}

extension HeadLayout.Group {
  /// 0 for tokens, ``BandAttention/hidden`` for padding [B_g·H, L_g]; lengths of the whole batch.
  func visible(_ lengths: [Int], heads: Int, device: Device) -> Tensor {
    let values = examples.flatMap { example in
      let row = (0..<length).map { $0 < lengths[example] ? 0 : Float(BandAttention.hidden) }
      return Array(repeating: row, count: heads).joined()
    }
    return Tensor(values, shape: [exampleCount * heads, length]).to(device: device)
  }
}

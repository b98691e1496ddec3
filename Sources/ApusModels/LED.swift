internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// LED: BART whose source tokens see their neighbours only, and the first few of every source,
/// which see all.
///
/// Properties are the checkpoint's keys below `led`. Tables of positions have no rows to spare.
///
/// - Shapes: S rows of sources, T rows of targets, D hidden size, V vocabulary.
/// - Source: Beltagy et al., arXiv 2004.05150, §3 and §7; transformers,
///   `models/led/modeling_led.py`.
final class LED: BartTransformer, EncoderDecoder {
  private let globals: LEDGlobals

  /// A model without weights yet.
  init(_ json: JSONNode) throws(ApusError) {
    let config = try BartConfig(
      json,
      positionFields: ("max_encoder_position_embeddings", "max_decoder_position_embeddings"),
      positionOffset: 0, isPreNorm: false)
    let windows = try Self.windows(json["attention_window"], count: config.encoder_layers)
    let globals = LEDGlobals()
    self.globals = globals
    super.init(config) { LEDSourceAttention(config, window: windows[$0], globals) }
  }

  static let architecture = ModelCatalog.Architecture(
    encoderDecoder: "led", prefix: "led", classPrefix: "LED",
    defaultTargets: ["q_proj", "v_proj", "query", "value"]
  ) { config throws(ApusError) in try LED(config) }

  /// Tokens at the beginning of every source that see all and are seen by all.
  var globalTokens: Int {
    get { globals.count }
    set { globals.count = newValue }
  }

  /// Tokens that each block sees, on both sides together: one number, or one for each.
  private static func windows(_ node: JSONNode, count: Int) throws(ApusError) -> [Int] {
    var windows: [Int] = []
    if node.exists, node.foundationValue is [Any] {
      for entry in try node.array() { windows.append(try entry.size(upTo: 1_000_000)) }
    } else {
      windows = Array(repeating: try node.size(upTo: 1_000_000, default: 512), count: count)
    }
    guard windows.count == count, windows.allSatisfy({ $0.isMultiple(of: 2) }) else {
      throw node.error(
        "\(count) even numbers are needed, found \(windows)",
        remedy: "Take config.json from the checkpoint's source")
    }
    return windows
  }
}

/// How many tokens of every source see all; the blocks of a model share it.
final class LEDGlobals {
  var count = 0
}

/// Attention to neighbours and to global tokens, with its output projection.
final class LEDSourceAttention: Module, SourceAttention {
  let longformer_self_attn: LongformerAttention
  let output: ProjectionSite

  init(_ config: BartConfig, window: Int, _ globals: LEDGlobals) {
    longformer_self_attn = LongformerAttention(config, window: window, globals)
    output = ProjectionSite(config.d_model, config.d_model)
  }

  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    output(longformer_self_attn(rows, layout, pass), pass.scoped("output"))
  }
}

/// Two kinds of attention: tokens to their neighbours and to global ones; global tokens, with
/// projections of their own, to all.
///
/// - Shapes: S rows, D hidden size; B_g examples, H heads, L_g length, d head size, G global tokens.
/// - Source: Beltagy et al., arXiv 2004.05150, §3.1.
final class LongformerAttention: Module {
  let query: ProjectionSite
  let key: ProjectionSite
  let value: ProjectionSite
  let query_global: ProjectionSite
  let key_global: ProjectionSite
  let value_global: ProjectionSite
  private let band: BandAttention
  private let full: ScaledDotProduct
  private let globals: LEDGlobals
  private let heads: Int

  init(_ config: BartConfig, window: Int, _ globals: LEDGlobals) {
    let size = config.d_model
    query = ProjectionSite(size, size)
    key = ProjectionSite(size, size)
    value = ProjectionSite(size, size)
    query_global = ProjectionSite(size, size)
    key_global = ProjectionSite(size, size)
    value_global = ProjectionSite(size, size)
    heads = config.encoder_attention_heads
    band = BandAttention(
      radius: window / 2, scale: 1 / Double(size / heads).squareRoot(),
      dropout: Dropout(config.attention_dropout))
    full = ScaledDotProduct(dropout: config.attention_dropout)
    self.globals = globals
  }

  /// Rows [S, D] to rows [S, D].
  func callAsFunction(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let lengths = pass.layout.lengths
    let near = nearby(rows, layout, pass)
    guard globals.count > 0 else { return near }
    // The rows of global tokens, and their attention to all of their own source.
    let counts = lengths.map { min($0, globals.count) }
    var (own, row): ([Int], Int) = ([], 0)
    for (length, count) in zip(lengths, counts) {
      own += row..<(row + count)
      row += length
    }
    let index = Tensor(own, shape: [own.count]).to(device: rows.device)
    let asking = HeadLayout(
      RowLayout(lengths: counts, device: rows.device), heads: heads, device: rows.device,
      members: layout.groups.map(\.examples))
    let q = query_global(rows.indexSelected(0, index), pass.scoped("query_global"))
    let k = key_global(rows, pass.scoped("key_global"))
    let v = value_global(rows, pass.scoped("value_global"))
    let all = full(q, k, v, asking, from: layout, AttentionSite(), pass.scoped("global"))
    return replacing(near, with: all, at: own)
  }

  /// All rows as local tokens.
  private func nearby(_ rows: Tensor, _ layout: HeadLayout, _ pass: ForwardPass) -> Tensor {
    let lengths = pass.layout.lengths
    let q = layout.split(query(rows, pass.scoped("query")).to(.float32))
    let k = layout.split(key(rows, pass.scoped("key")).to(.float32))
    let v = layout.split(value(rows, pass.scoped("value")).to(.float32))
    let contexts = layout.groups.indices.map { index in
      let group = layout.groups[index]
      let count = min(globals.count, group.length)
      var visible = group.visible(lengths, heads: heads, device: rows.device)
      var side: BandAttention.Side?
      if count > 0 {
        let first = visible.sliced(1, 0..<count)
        side = BandAttention.Side(
          keys: k[index].sliced(1, 0..<count), values: v[index].sliced(1, 0..<count),
          added: first.unsqueezed(1))
        let hidden = Tensor.full(first.shape, BandAttention.hidden, device: rows.device)
        visible = concatenated([hidden, visible.sliced(1, count..<group.length)], dim: 1)
      }
      return band(
        q[index], k[index], v[index], visible: visible, bias: nil, side: side,
        pass.scoped("group", index))
    }
    return layout.join(contexts).to(rows.dtype)
  }

  /// Rows [S, D] with some of them [n, D] put in place of others.
  private func replacing(_ rows: Tensor, with new: Tensor, at places: [Int]) -> Tensor {
    var order = Array(0..<rows.size(0))
    for (index, place) in places.enumerated() { order[place] = rows.size(0) + index }
    let index = Tensor(order, shape: [order.count]).to(device: rows.device)
    return concatenated([rows, new]).indexSelected(0, index)
  }
}

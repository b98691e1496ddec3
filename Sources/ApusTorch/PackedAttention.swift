public import ApusBase
internal import CApusTorch

/// What queries see of keys in rows without padding.
///
/// - Shapes: T rows of queries, S of keys; K heads of keys, G heads of queries to each, d head size.
public struct PackedAttention: Sendable {
  /// Queries of each example; their sum is T.
  public let lengths: [Int]
  /// Keys of each example; their sum is S.
  public let keyLengths: [Int]
  /// K.
  public let keyHeads: Int
  /// G.
  public let queriesPerKey: Int
  /// The factor on all scores.
  public let scale: Double
  /// Whether keys behind a query's own place are hidden.
  public let isCausal: Bool
  /// If causal, the keys that are looked back at, the own included; nil for all.
  public let window: Int?

  /// Attention within examples.
  ///
  /// - Parameters:
  ///   - lengths: Queries of each example.
  ///   - keyLengths: Keys of each example; nil for as many as queries.
  ///   - keyHeads: K.
  ///   - queriesPerKey: G.
  ///   - scale: The factor on all scores.
  ///   - isCausal: Whether keys behind a query's own place are hidden.
  ///   - window: If causal, the keys that are looked back at, the own included; nil for all.
  public init(
    lengths: [Int], keyLengths: [Int]? = nil, keyHeads: Int, queriesPerKey: Int = 1, scale: Double,
    isCausal: Bool = false, window: Int? = nil
  ) {
    self.lengths = lengths
    self.keyLengths = keyLengths ?? lengths
    self.keyHeads = keyHeads
    self.queriesPerKey = queriesPerKey
    self.scale = scale
    self.isCausal = isCausal
    self.window = window
  }

  /// softmax(scale·QKᵀ)·V for every head of every example, computed in float32, or in float64 for
  /// rows of that.
  ///
  /// On the processor no scores are stored: the backward computes them again. A backward that is
  /// differentiated itself goes through plain operations, example by example.
  ///
  /// - Parameters:
  ///   - queries: Rows [T, K·G·d], float32, bfloat16 or float64.
  ///   - keys: Rows [S, K·d] of the same dtype.
  ///   - values: Rows [S, K·d] of the same dtype.
  ///   - dropout: Share of the scores that becomes zero, and the stream whose next
  ///     number is the seed; nil for none.
  /// - Returns: Rows [T, K·G·d] of the same dtype.
  /// - Source: Vaswani et al., arXiv 1706.03762, eq. 1; Dao et al., arXiv 2205.14135, §3.
  public func callAsFunction(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor,
    dropout: (probability: Double, stream: RandomStream)? = nil
  ) -> Tensor {
    let drops = Drops(dropout)
    guard queries.device == .cpu, queries.dtype != .float64 else {
      return plain(queries, keys, values, drops)
    }
    let inputs = [queries, keys, values]
    var sums: apus_tensor?
    let isRecorded = apus_grad_mode() && inputs.contains(where: \.requiresGradient)
    let context = withPlan(drops) { plan in
      guard isRecorded else {
        return Tensor(apus_attend(queries.raw, keys.raw, values.raw, plan, nil))
      }
      return Tensor(apus_attend(queries.raw, keys.raw, values.raw, plan, &sums))
    }
    guard isRecorded else { return context }
    let logSums = Tensor(sums)
    return customOperation(inputs) {
      [context]
    } backward: { gradients in
      guard let gradient = gradients[0] else { return [nil, nil, nil] }
      if apus_grad_mode() {
        let moving = inputs.indices.filter { inputs[$0].requiresGradient }
        let found = Tensor.gradients(
          of: [plain(queries, keys, values, drops)], seeds: [gradient],
          by: moving.map { inputs[$0] }, createGraph: true)
        var gradients: [Tensor?] = [nil, nil, nil]
        for (place, gradient) in zip(moving, found) { gradients[place] = gradient }
        return gradients
      }
      var found: [apus_tensor?] = [nil, nil, nil]
      let done = withPlan(drops) {
        apus_attend_backward(
          gradient.raw, queries.raw, keys.raw, values.raw, logSums.raw, $0, &found)
      }
      return found.map { done ? Tensor($0) : nil }
    }[0]
  }

  /// The dropout of one call.
  private struct Drops: Sendable {
    let probability: Double
    let seed: UInt64

    init(_ dropout: (probability: Double, stream: RandomStream)?) {
      var stream = dropout?.stream
      probability = dropout?.probability ?? 0
      seed = stream?.next() ?? 0
    }
  }

  private func withPlan<Result>(
    _ drops: Drops, _ body: (UnsafePointer<apus_attention_plan>) -> Result
  ) -> Result {
    lengths.map(Int64.init).withUnsafeBufferPointer { lengths in
      keyLengths.map(Int64.init).withUnsafeBufferPointer { keyLengths in
        var plan = apus_attention_plan(
          lengths: lengths.baseAddress, key_lengths: keyLengths.baseAddress,
          examples: Int64(lengths.count), key_heads: Int64(keyHeads),
          queries_per_key: Int64(queriesPerKey), scale: scale, causal: isCausal,
          window: Int64(window ?? 0), dropout: drops.probability, seed: drops.seed)
        return body(&plan)
      }
    }
  }

  /// The same through operations that can be differentiated any number of times.
  private func plain(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ drops: Drops
  ) -> Tensor {
    let dtype: DType = queries.dtype == .float64 ? .float64 : .float32
    var (row, keyRow) = (0, 0)
    var contexts: [Tensor] = []
    for (example, (length, keyLength)) in zip(lengths, keyLengths).enumerated() {
      // [K, rows, columns of one head of keys]
      let heads = { (x: Tensor, first: Int, count: Int) in
        x.sliced(0, first..<(first + count)).to(dtype).reshaped([count, keyHeads, -1])
          .permuted([1, 0, 2])
      }
      let k = heads(keys, keyRow, keyLength)
      let v = heads(values, keyRow, keyLength)
      let q = heads(queries, row, length)
        .reshaped([keyHeads, length * queriesPerKey, k.size(2)])
      var scores = matmul(q, k.matrixTransposed) * scale
      if let hidden = hidden(length, keyLength) {
        scores = scores + hidden.to(dtype).to(device: queries.device)
      }
      var shares = softmax(scores)
      if drops.probability > 0 {
        let mask = withPlan(drops) { Tensor(apus_attention_mask($0, Int64(example))) }
          .reshaped([keyHeads, queriesPerKey, length, keyLength]).permuted([0, 2, 1, 3])
          .reshaped(shares.shape)
        shares = shares * mask.to(dtype).to(device: queries.device)
      }
      contexts.append(
        matmul(shares, v).reshaped([keyHeads, length, -1]).permuted([1, 0, 2])
          .reshaped([length, -1]))
      (row, keyRow) = (row + length, keyRow + keyLength)
    }
    return concatenated(contexts).to(queries.dtype)
  }

  /// 0 for keys that a query sees and −∞ for the others [1, n·G, S]; nil if it sees all.
  private func hidden(_ length: Int, _ keyLength: Int) -> Tensor? {
    guard isCausal else { return nil }
    var values: [Float] = []
    for query in 0..<length {
      let line = (0..<keyLength).map { key in
        key <= query && key > query - (window ?? .max) ? Float(0) : -.infinity
      }
      for _ in 0..<queriesPerKey { values += line }
    }
    return Tensor(values, shape: [1, length * queriesPerKey, keyLength])
  }
}

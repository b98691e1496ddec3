internal import ApusBase
internal import ApusTorch

/// Changes the scores of next tokens, as options ask for.
///
/// - Shapes: B rows, V vocabulary.
struct TokenScores {
  let options: GenerationOptions

  /// The scores [B, V] after penalties and prohibitions.
  ///
  /// - Parameters:
  ///   - scores: Logits, or their logarithms of shares.
  ///   - rows: Tokens of each row so far, beginnings included [B].
  ///   - written: How many of them were written.
  /// - Returns: The changed scores.
  func penalized(_ scores: Tensor, rows: [[Int]], written: Int) -> Tensor {
    var scores = scores
    if options.repetitionPenalty != 1 { scores = repelled(scores, rows) }
    if options.noRepeatNgramSize > 0 {
      scores = forbidding(scores, rows.map { repeats(in: $0) })
    }
    if written < options.minNewTokens, !options.stopTokens.isEmpty {
      scores = forbidding(scores, rows.map { _ in options.stopTokens })
    }
    if written == 0, let token = options.forcedFirstToken { scores = forcing(scores, token) }
    if written == options.maxNewTokens - 1, let token = options.forcedLastToken {
      scores = forcing(scores, token)
    }
    return scores
  }

  /// Shares [B, V] of what may be drawn: temperature, then the likeliest k, then the share p.
  func shares(_ scores: Tensor) -> Tensor {
    var scores = scores / options.temperature
    if options.topK > 0, options.topK < scores.size(1) {
      let least = scores.topK(options.topK).values.sliced(1, (options.topK - 1)..<options.topK)
      scores = scores.filled(where: scores .< least, -.infinity)
    }
    if options.topP < 1 {
      let order = scores.argsort(1)
      let sorted = scores.gathered(1, order)
      let unlikely = softmax(sorted).cumulativeSum(1) .<= (1 - options.topP)
      let last =
        Tensor.range(0, scores.size(1)).to(device: scores.device)
        .unsqueezed(0) .== Double(scores.size(1) - 1)
      let dropped = sorted.filled(where: unlikely .& .!last, -.infinity)
      scores = scores.scattered(1, order, dropped)
    }
    return softmax(scores)
  }

  /// Scores of tokens that were there: divided by the penalty if positive, else multiplied.
  private func repelled(_ scores: Tensor, _ rows: [[Int]]) -> Tensor {
    var seen = [Float](repeating: 0, count: scores.count)
    let width = scores.size(1)
    for (row, tokens) in rows.enumerated() {
      for token in tokens where token < width { seen[row * width + token] = 1 }
    }
    let isSeen = Tensor(seen, shape: scores.shape).to(device: scores.device) .> 0
    let penalty = options.repetitionPenalty
    let worse = select(scores .< 0, scores * penalty, otherwise: scores / penalty)
    return select(isSeen, worse, otherwise: scores)
  }

  /// Tokens that would repeat a sequence of the forbidden length.
  private func repeats(in tokens: [Int]) -> [Int] {
    let size = options.noRepeatNgramSize
    guard tokens.count + 1 >= size else { return [] }
    let ending = Array(tokens.suffix(size - 1))
    return (0..<max(0, tokens.count - size + 1)).compactMap { start in
      Array(tokens[start..<(start + size - 1)]) == ending ? tokens[start + size - 1] : nil
    }
  }

  private func forbidding(_ scores: Tensor, _ tokens: [[Int]]) -> Tensor {
    guard tokens.contains(where: { !$0.isEmpty }) else { return scores }
    var added = [Float](repeating: 0, count: scores.count)
    let width = scores.size(1)
    for (row, forbidden) in tokens.enumerated() {
      for token in forbidden where token < width { added[row * width + token] = -.infinity }
    }
    return scores + Tensor(added, shape: scores.shape).to(device: scores.device)
  }

  private func forcing(_ scores: Tensor, _ token: Int) -> Tensor {
    var added = [Float](repeating: -.infinity, count: scores.size(1))
    if added.indices.contains(token) { added[token] = 0 }
    let row = Tensor(added, shape: [1, added.count]).to(device: scores.device)
    return scores.zerosLike + row
  }
}

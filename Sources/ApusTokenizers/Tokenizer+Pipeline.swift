import ApusBase

extension Tokenizer {
  /// All steps but padding.
  func assemble(
    _ text: String, pair: String?, addSpecialTokens: Bool, truncation: Truncation
  ) throws(ApusError) -> Encoding {
    // Of a single text, what lies beyond the cut need not be tokenized.
    let isCutRight = pair == nil && truncation.direction == .right
    let limit = isCutRight ? truncation.maxLength : .max
    var runs = [run(of: text, limit: limit)]
    if let pair { runs.append(run(of: pair, limit: limit)) }
    let reserved =
      addSpecialTokens ? postProcessor.specialCount(isPair: pair != nil) : 0
    try truncation.shorten(&runs, reserving: reserved)
    return postProcessor.assemble(runs, addSpecialTokens: addSpecialTokens)
  }

  /// The text cut into words, normalized, with added tokens found.
  func split(_ text: String) -> SplitText {
    var split = SplitText(text)
    added.extractRaw(from: &split)
    if let normalizer { split.normalizeEach(normalizer) }
    added.extractNormalized(from: &split)
    preTokenizer?.preTokenize(&split)
    return split
  }

  /// The tokens of one text, up to the first word with which there are more than `limit`.
  private func run(of text: String, limit: Int) -> TokenRun {
    let split = split(text)
    let (text, vocabulary) = (split.text, model.vocabulary)
    var run = TokenRun(capacity: max(0, min(text.count / 3 + 4, limit)))
    var found: [ModelToken] = []
    for piece in split.pieces {
      if run.count > limit { break }
      if let number = piece.added {
        run.append(
          text.string(piece.range), id: added.id(at: number), offset: text.origin(of: piece.range))
        continue
      }
      found.removeAll(keepingCapacity: true)
      model.tokenize(text.scalars, piece.range, into: &found)
      for token in found {
        run.append(
          token.isVerbatim ? text.string(token.range) : vocabulary.tokens[token.place],
          id: vocabulary.ids[token.place], offset: text.origin(of: token.range))
      }
    }
    return run
  }
}

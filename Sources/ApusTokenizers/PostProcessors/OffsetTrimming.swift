import ApusBase

/// Takes white space out of the offsets of byte-level tokens.
struct OffsetTrimming {
  /// Whether the pre-tokenizer has put a space before the text, which offsets do not count.
  let ignoresPrefixSpace: Bool

  func trim(_ run: inout TokenRun) {
    for index in 0..<run.count {
      let scalars = run.tokens[index].unicodeScalars
      var leading = scalars.prefix(while: Self.isSpace).count
      let trailing = scalars.reversed().prefix(while: Self.isSpace).count
      guard leading > 0 || trailing > 0 else { continue }
      var (start, end) = (run.offsets[index].lowerBound, run.offsets[index].upperBound)
      if ignoresPrefixSpace, leading == 1, index == 0 || start == 0 { leading = 0 }
      start = min(start + leading, end)
      if trailing > 0, end >= trailing { end = max(end - trailing, start) }
      run.setOffset(start..<end, at: index)
    }
  }

  @inline(__always)
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar == ByteAlphabet.space || scalar.has(.whitespace)
  }
}

/// Trims offsets, if the file wants it, and adds nothing.
struct ByteLevelProcessing: PostProcessor {
  let trimming: OffsetTrimming?

  init(reading node: JSONNode) throws(ApusError) {
    let trims = try node["trim_offsets"].bool()
    let hasPrefix = try node["add_prefix_space"].bool()
    trimming = trims ? OffsetTrimming(ignoresPrefixSpace: hasPrefix) : nil
  }

  func specialCount(isPair: Bool) -> Int { 0 }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    PlainJoin().assemble(trimmed(runs), addSpecialTokens: addSpecialTokens)
  }

  /// The runs with offsets as the file wants them.
  func trimmed(_ runs: [TokenRun]) -> [TokenRun] {
    guard let trimming else { return runs }
    var runs = runs
    for index in runs.indices { trimming.trim(&runs[index]) }
    return runs
  }
}

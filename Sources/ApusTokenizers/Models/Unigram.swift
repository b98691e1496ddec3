import ApusBase

/// Unigram: of all ways to cut a text into tokens, takes the most probable one.
///
/// Text without a token costs ten more than the rarest token, and neighbouring unknown text is one
/// token, or, with byte fallback, one token for each of its bytes.
///
/// - Source: Kudo, arXiv 1804.10959, §3.2; Viterbi as in sentencepiece, `unigram_model.cc`,
///   `EncodeOptimized`.
struct Unigram: TokenModel {
  let vocabulary: Vocabulary
  /// For each token its log-probability.
  private let scores: ContiguousArray<Double>
  private let unknown: Int
  private let unknownScore: Double
  private let byteTokens: ByteTokens?
  private let cache = WordCache()

  init(
    _ entries: [(token: String, score: Double)], unknown: Int, fallsBackToBytes: Bool,
    at place: String
  ) throws(ApusError) {
    vocabulary = try Vocabulary(
      entries.enumerated().map { ($1.token, $0) }, at: "\(place).vocab")
    guard entries.indices.contains(unknown) else {
      throw ApusError(
        .invalidFile, at: "\(place).unk_id", "there is no token with the id \(unknown)",
        remedy: "Take the vocabulary and its settings from the same checkpoint")
    }
    scores = ContiguousArray(entries.map(\.score))
    self.unknown = unknown
    unknownScore = (scores.min() ?? 0) - 10
    byteTokens = fallsBackToBytes ? ByteTokens(of: vocabulary) : nil
  }

  init(reading source: ModelSource) throws(ApusError) {
    let node = source.node
    let fallback = node["byte_fallback"]
    try self.init(
      try Self.entries(reading: source), unknown: try node["unk_id"].int(),
      fallsBackToBytes: fallback.exists ? try fallback.bool() : false, at: node.place)
  }

  private static func entries(
    reading source: ModelSource
  ) throws(ApusError) -> [(token: String, score: Double)] {
    var entries: [(token: String, score: Double)] = []
    for (index, row) in try source.rows(of: "vocab").enumerated() {
      guard row.count == 2, case .text(let token) = row[0], case .other(let number) = row[1],
        let score = Double(number), score.isFinite
      else {
        throw ApusError(
          .invalidFile, at: "\(source.node["vocab"].place)[\(index)]",
          "expected a token and its score", remedy: "Restore the file from its source")
      }
      entries.append((token, score))
    }
    return entries
  }

  func tokenize(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    into tokens: inout [ModelToken]
  ) {
    cache.tokens(of: scalars, range, into: &tokens) { tokens in
      var ends = range.upperBound
      let nodes = bestPath(scalars, range)
      var reversed: [ModelToken] = []
      var unknownEnd: Int?
      while ends > range.lowerBound {
        let node = nodes[ends - range.lowerBound]
        let start = range.lowerBound + Int(node.start)
        if Int(node.token) == unknown {
          unknownEnd = unknownEnd ?? ends
        } else {
          if let end = unknownEnd { appendUnknown(scalars, ends..<end, to: &reversed) }
          unknownEnd = nil
          reversed.append(ModelToken(place: Int(node.token), range: start..<ends))
        }
        ends = start
      }
      if let end = unknownEnd { appendUnknown(scalars, range.lowerBound..<end, to: &reversed) }
      tokens.append(contentsOf: reversed.reversed())
    }
  }

  /// The last token of the best way to a place in the text.
  private struct Node {
    var token: Int32 = -1
    /// Where the token begins.
    var start: Int32 = 0
    var score = 0.0
  }

  /// For each place in the text the best way there.
  private func bestPath(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>
  ) -> ContiguousArray<Node> {
    var nodes = ContiguousArray(repeating: Node(), count: range.count + 1)
    let trie = vocabulary.trie
    for start in 0..<range.count {
      let scoreHere = nodes[start].score
      func reach(_ end: Int, _ token: Int, _ score: Double) {
        let total = score + scoreHere
        guard nodes[end].token < 0 || total > nodes[end].score else { return }
        nodes[end] = Node(
          token: Int32(truncatingIfNeeded: token), start: Int32(truncatingIfNeeded: start),
          score: total)
      }
      var (node, end, hasSingle) = (ScalarTrie.root, start, false)
      while end < range.count, let next = trie.child(of: node, scalars[range.lowerBound + end]) {
        node = next
        end += 1
        guard let token = trie.value(at: node) else { continue }
        reach(end, token, scores[token])
        if end == start + 1 { hasSingle = true }
      }
      if !hasSingle { reach(start + 1, unknown, unknownScore) }
    }
    return nodes
  }

  /// Appends, from right to left, what stands for unknown text.
  private func appendUnknown(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>, to reversed: inout [ModelToken]
  ) {
    if let place = vocabulary.trie.value(of: scalars[range]) {
      reversed.append(ModelToken(place: place, range: range))
    } else if let places = byteTokens?.places(of: Self.utf8(scalars[range])) {
      for place in places.reversed() {
        reversed.append(ModelToken(place: Int(place), range: range))
      }
    } else {
      reversed.append(ModelToken(place: unknown, range: range, isVerbatim: true))
    }
  }

  private static func utf8(_ scalars: ArraySlice<Unicode.Scalar>) -> [UInt8] {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    return Array(String(text).utf8)
  }
}

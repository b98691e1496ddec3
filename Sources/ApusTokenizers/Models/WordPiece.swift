import ApusBase

/// WordPiece: takes the longest entry that begins the word, then the longest that continues it.
///
/// A word that cannot be used up this way, or is too long, is one unknown token as a whole.
///
/// - Source: Schuster and Nakajima, "Japanese and Korean voice search", ICASSP 2012; the greedy
///   form of Devlin et al., arXiv 1810.04805, reference code `tokenization.py`.
struct WordPiece: TokenModel {
  let vocabulary: Vocabulary
  private let unknown: Int
  private let continuation: ScalarTrie.Node?
  private let maxWordLength: Int

  /// Creates the model.
  ///
  /// - Parameters:
  ///   - vocabulary: Tokens and ids.
  ///   - unknownToken: Stands for words that the vocabulary cannot spell.
  ///   - prefix: Marks entries that continue a word, such as `##`.
  ///   - maxWordLength: Longer words are unknown, in scalars.
  ///   - place: Where the unknown token is named, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if the vocabulary lacks the unknown token.
  init(
    vocabulary: Vocabulary, unknownToken: String, prefix: String, maxWordLength: Int,
    at place: String
  ) throws(ApusError) {
    guard let unknown = vocabulary.trie.value(of: unknownToken.unicodeScalars) else {
      throw ApusError(
        .invalidFile, at: place, "the vocabulary has no unknown token \"\(unknownToken)\"",
        remedy: "Take the vocabulary and its settings from the same checkpoint")
    }
    self.vocabulary = vocabulary
    self.unknown = unknown
    self.continuation = vocabulary.trie.node(of: prefix.unicodeScalars)
    self.maxWordLength = maxWordLength
  }

  init(reading source: ModelSource) throws(ApusError) {
    let node = source.node
    let limit = node["max_input_chars_per_word"]
    guard try limit.int() >= 0 else {
      throw limit.error("a length cannot be negative", remedy: "Set it to 100, as BERT does")
    }
    try self.init(
      vocabulary: try source.vocabulary(), unknownToken: try node["unk_token"].string(),
      prefix: try node["continuing_subword_prefix"].string(), maxWordLength: try limit.int(),
      at: node["unk_token"].place)
  }

  func tokenize(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    into tokens: inout [ModelToken]
  ) {
    let count = tokens.count
    var rest = range
    var node: ScalarTrie.Node? = range.count > maxWordLength ? nil : ScalarTrie.root
    while !rest.isEmpty {
      guard let start = node,
        let match = vocabulary.trie.longestMatch(in: scalars, rest, from: start)
      else {
        tokens.removeSubrange(count...)
        tokens.append(ModelToken(place: unknown, range: range))
        return
      }
      tokens.append(ModelToken(place: match.value, range: rest.lowerBound..<match.end))
      rest = match.end..<rest.upperBound
      node = continuation
    }
  }
}

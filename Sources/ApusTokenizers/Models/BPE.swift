import ApusBase

/// Byte pair encoding: starts from single characters and merges the pairs that training merged.
///
/// Over bytes, as in GPT-2, the pre-tokenizer ``ByteLevel`` spells each byte as a character. With
/// byte fallback, as in LLaMA 2, characters that the vocabulary lacks become tokens such as `<0xE2>`.
///
/// - Source: Sennrich et al., arXiv 1508.07909, Algorithm 1.
struct BPE: TokenModel {
  /// How words are spelled before they are merged.
  struct Options {
    /// Stands for characters that the vocabulary lacks; nil drops them.
    var unknownToken: String?
    /// Marks characters that continue a word.
    var prefix = ""
    /// Marks the last character of a word.
    var suffix = ""
    /// Neighbouring unknown characters make one unknown token.
    var fusesUnknown = false
    /// Unknown characters become one token for each byte.
    var fallsBackToBytes = false
    /// A word that is a token needs no merges.
    var ignoresMerges = false
  }

  let vocabulary: Vocabulary
  private let merges: MergeTable
  private let options: Options
  private let unknown: Int32?
  private let byteTokens: ByteTokens?
  /// The tokens of frequent characters in the four positions of a word, or -1.
  private let frequent: ContiguousArray<Int32>
  private let cache = WordCache()

  private static let frequentBound = 0x400

  init(
    vocabulary: Vocabulary, merges: [(left: String, right: String)], options: Options,
    at place: String
  ) throws(ApusError) {
    self.vocabulary = vocabulary
    self.options = options
    self.merges = try MergeTable(
      merges, vocabulary: vocabulary, prefix: options.prefix, at: "\(place).merges")
    unknown = try options.unknownToken.map { token throws(ApusError) in
      guard let unknown = vocabulary.trie.value(of: token.unicodeScalars) else {
        throw ApusError(
          .invalidFile, at: "\(place).unk_token",
          "the vocabulary has no unknown token \"\(token)\"",
          remedy: "Take the vocabulary and its settings from the same checkpoint")
      }
      return Int32(truncatingIfNeeded: unknown)
    }
    byteTokens = options.fallsBackToBytes ? ByteTokens(of: vocabulary) : nil
    frequent = ContiguousArray(
      (0..<(4 * Self.frequentBound)).map { index in
        guard let scalar = Unicode.Scalar(UInt32(index >> 2)) else { return -1 }
        return Self.place(
          of: scalar, isFirst: index & 1 != 0, isLast: index & 2 != 0, vocabulary.trie, options)
      })
  }

  func tokenize(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    into tokens: inout [ModelToken]
  ) {
    cache.tokens(of: scalars, range, into: &tokens) { tokens in
      if options.ignoresMerges, let place = vocabulary.trie.value(of: scalars[range]) {
        tokens.append(ModelToken(place: place, range: range))
        return
      }
      var word = spell(scalars, range)
      word.merge(by: merges)
      append(word, of: scalars, range, to: &tokens)
    }
  }

  /// The characters of a word as symbols, with what stands for those that the vocabulary lacks.
  private func spell(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>
  ) -> MergeWord {
    var word = MergeWord(capacity: range.count)
    var unknownLength = 0  // bytes of an unknown token not yet appended
    for index in range {
      let scalar = scalars[index]
      let length = UTF8.width(scalar)
      let (isFirst, isLast) = (index == range.lowerBound, index == range.upperBound - 1)
      let place = place(of: scalar, isFirst: isFirst, isLast: isLast)
      if place >= 0 {
        if let unknown, unknownLength > 0 { word.append(unknown, length: unknownLength) }
        unknownLength = 0
        word.append(place, length: length)
      } else if let bytes = fallback(for: scalar, isFirst: isFirst, isLast: isLast) {
        // Like the library, this leaves an unknown token waiting.
        for token in bytes { word.append(token, length: 1) }
      } else if let unknown {
        if unknownLength > 0, !options.fusesUnknown {
          word.append(unknown, length: unknownLength)
          unknownLength = 0
        }
        unknownLength += length
      }
    }
    if let unknown, unknownLength > 0 { word.append(unknown, length: unknownLength) }
    return word
  }

  /// Appends a merged word's tokens; each covers the scalars that its bytes fall into.
  private func append(
    _ word: MergeWord, of scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    to tokens: inout [ModelToken]
  ) {
    var (index, scalarStart, byte) = (range.lowerBound, 0, 0)
    func advance(to byte: Int) {
      while index < range.upperBound - 1,
        case let end = scalarStart + UTF8.width(scalars[index]), end <= byte
      {
        scalarStart = end
        index += 1
      }
    }
    for symbol in word.symbols where symbol.length > 0 {
      advance(to: byte)
      let first = index
      byte += Int(symbol.length)
      advance(to: byte - 1)
      tokens.append(ModelToken(place: Int(symbol.token), range: first..<(index + 1)))
    }
  }

  @inline(__always)
  private func place(of scalar: Unicode.Scalar, isFirst: Bool, isLast: Bool) -> Int32 {
    guard scalar.value < Self.frequentBound else {
      return Self.place(
        of: scalar, isFirst: isFirst, isLast: isLast, vocabulary.trie, options)
    }
    return frequent[Int(scalar.value) << 2 | (isLast ? 2 : 0) | (isFirst ? 1 : 0)]
  }

  private static func place(
    of scalar: Unicode.Scalar, isFirst: Bool, isLast: Bool, _ trie: ScalarTrie, _ options: Options
  ) -> Int32 {
    var node: ScalarTrie.Node? = ScalarTrie.root
    if !isFirst { node = trie.node(of: options.prefix.unicodeScalars) }
    node = node.flatMap { trie.child(of: $0, scalar) }
    if isLast { node = node.flatMap { trie.node(of: options.suffix.unicodeScalars, from: $0) } }
    return node.flatMap(trie.value(at:)).map { Int32(truncatingIfNeeded: $0) } ?? -1
  }

  private func fallback(for scalar: Unicode.Scalar, isFirst: Bool, isLast: Bool) -> [Int32]? {
    guard let byteTokens else { return nil }
    var bytes = isFirst ? [] : Array(options.prefix.utf8)
    bytes += Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    if isLast { bytes += Array(options.suffix.utf8) }
    return byteTokens.places(of: bytes)
  }
}

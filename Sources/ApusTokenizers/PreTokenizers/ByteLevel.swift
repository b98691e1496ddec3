import ApusBase

/// GPT-2's words, with each byte spelled as a letter of ``ByteAlphabet``.
struct ByteLevel: PreTokenizer {
  let addsPrefixSpace: Bool
  let splits: Bool

  /// Contractions, runs of letters, of digits and of others with the space before, and white space.
  private static let words = Result { () throws(ApusError) in
    try PatternProgram(
      #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
      at: "the words of GPT-2")
  }

  private let words: PatternProgram

  init(addsPrefixSpace: Bool, splits: Bool = true) throws(ApusError) {
    self.addsPrefixSpace = addsPrefixSpace
    self.splits = splits
    words = try Self.words.get()
  }

  init(reading node: JSONNode) throws(ApusError) {
    try self.init(
      addsPrefixSpace: try node["add_prefix_space"].bool(),
      splits: node["use_regex"].exists ? try node["use_regex"].bool() : true)
  }

  func preTokenize(_ text: inout SplitText) {
    if addsPrefixSpace { text.prependEach(" ") { $0.scalars[$1.lowerBound] != " " } }
    if splits {
      text.splitEach { text, range, pieces in
        for match in words.matches(in: text.scalars, range) { pieces.append(match) }
      }
    }
    Self.spell(&text)
  }

  /// Replaces every scalar by the letters of its bytes.
  private static func spell(_ text: inout SplitText) {
    let letters = ByteAlphabet.letters
    if text.text.scalars.allSatisfy({ $0.value < 0x80 }) {
      return text.mapEach { letters[Int($0.value & 0x7F)] }
    }
    text.rebuildEach { text, range, result in
      for index in range {
        for byte in UTF8.encode(text.scalars[index]) ?? UTF8.encodedReplacementCharacter {
          result.append(letters[Int(byte)], from: text, at: index)
        }
      }
    }
  }
}

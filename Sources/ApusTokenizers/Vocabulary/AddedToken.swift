import ApusBase

/// A token that is looked for in the text itself, before the model sees it.
struct AddedToken: Sendable {
  let content: String
  /// Skipped when decoding without special tokens.
  let isSpecial: Bool
  /// Looked for in the normalized text, in its own normalized form.
  let isNormalized: Bool
  /// Found only where no word character stands next to it.
  let isSingleWord: Bool
  /// Takes the white space before it along.
  let stripsLeft: Bool
  /// Takes the white space after it along.
  let stripsRight: Bool
}

extension AddedToken: Equatable {
  // By scalars: String's own equality would take two spellings of a letter for one.
  static func == (one: AddedToken, other: AddedToken) -> Bool {
    one.content.unicodeScalars.elementsEqual(other.content.unicodeScalars)
      && one.isSpecial == other.isSpecial && one.isNormalized == other.isNormalized
      && one.isSingleWord == other.isSingleWord && one.stripsLeft == other.stripsLeft
      && one.stripsRight == other.stripsRight
  }
}

extension AddedToken {
  init(reading node: JSONNode) throws(ApusError) {
    self.init(
      content: try node["content"].string(), isSpecial: try node["special"].bool(),
      isNormalized: try node["normalized"].bool(), isSingleWord: try node["single_word"].bool(),
      stripsLeft: try node["lstrip"].bool(), stripsRight: try node["rstrip"].bool())
  }

  /// A special token such as `[CLS]`, with the properties that Hugging Face gives it.
  init(special content: String) {
    self.init(
      content: content, isSpecial: true, isNormalized: false, isSingleWord: false,
      stripsLeft: false, stripsRight: false)
  }
}

import ApusBase

/// Makes spaces visible, and cuts before each of them, as sentencepiece does.
struct Metaspace: PreTokenizer {
  /// Which pieces of the text get a space before them that they do not have.
  enum Prepending: String, CaseIterable, Sendable {
    /// The one that begins the text.
    case first
    case never
    case always
  }

  let replacement: Unicode.Scalar
  let prepending: Prepending
  let splits: Bool

  init(replacement: Unicode.Scalar, prepending: Prepending, splits: Bool) {
    self.replacement = replacement
    self.prepending = prepending
    self.splits = splits
  }

  init(reading node: JSONNode) throws(ApusError) {
    let text = try node["replacement"].string().unicodeScalars
    guard let scalar = text.first, text.count == 1 else {
      throw node["replacement"].error(
        "expected one character, found \(text.count)", remedy: "Set it to \"\u{2581}\"")
    }
    var prepending = Prepending.always
    let scheme = node["prepend_scheme"]
    if scheme.exists {
      let name = try scheme.string()
      guard let known = Prepending(rawValue: name) else {
        throw scheme.error(
          "there is no scheme \"\(name)\"",
          remedy: Spelling.remedy(for: name, allowed: Prepending.allCases.map(\.rawValue)))
      }
      prepending = known
    }
    let adds = node["add_prefix_space"]
    if adds.exists, try !adds.bool() {
      guard !scheme.exists || prepending == .never else {
        throw adds.error(
          "this contradicts prepend_scheme \(prepending)", remedy: "Correct one of the two fields")
      }
      prepending = .never
    }
    self.init(
      replacement: scalar, prepending: prepending,
      splits: node["split"].exists ? try node["split"].bool() : true)
  }

  func preTokenize(_ text: inout SplitText) {
    text.mapEach { $0 == " " ? replacement : $0 }
    if prepending != .never {
      text.prependEach(replacement) { text, range in
        text.scalars[range.lowerBound] != replacement
          && (prepending == .always || text.origins[range.lowerBound].start == 0)
      }
    }
    guard splits else { return }
    text.splitEach { text, range, pieces in
      SplitBehavior.mergedWithNext.split(range, into: &pieces) { text.scalars[$0] == replacement }
    }
  }
}

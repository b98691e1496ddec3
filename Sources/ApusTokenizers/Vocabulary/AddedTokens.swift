import ApusBase

/// All added tokens of a tokenizer, with their ids, ready to be found in texts.
struct AddedTokens: Sendable {
  /// An added token, its id, and the place in the file that declares it.
  typealias Declaration = (token: AddedToken, id: Int, place: String)

  private struct Entry: Sendable {
    let token: AddedToken
    let id: Int
    /// What stands in decoded text: the normalized form, where there is one.
    let text: String
  }

  private var entries: [Entry] = []
  private var placeOfID: [Int: Int] = [:]
  private var contents = ScalarTrie()
  private var specials = ScalarTrie()
  private var rawForms = ScalarTrie()
  private var normalizedForms = ScalarTrie()

  /// Gives each token the id that the model has for it, or the next free one.
  ///
  /// - Parameters:
  ///   - declarations: The tokens with the ids that the file promises.
  ///   - vocabulary: The model's tokens.
  ///   - normalizer: The tokenizer's normalizer.
  /// - Throws: ``ApusError`` `.invalidFile` if a promised id differs from the one given, or two
  ///   tokens would be found in the same text.
  init(
    _ declarations: [Declaration], vocabulary: Vocabulary, normalizer: (any Normalizer)?
  ) throws(ApusError) {
    var nextID = vocabulary.count
    for (token, promisedID, place) in declarations where !token.content.isEmpty {
      if let known = contents.value(of: token.content.unicodeScalars) {
        if entries[known].token == token { continue }
        throw Self.clash("token \"\(token.content)\" is declared twice, differently", at: place)
      }
      let knownID = vocabulary.id(of: token.content)
      let id = knownID ?? nextID
      if knownID == nil { nextID += 1 }
      guard id == promisedID else {
        throw Self.clash(
          "token \"\(token.content)\" should have the id \(id), found \(promisedID)", at: place)
      }
      let text = token.isNormalized ? Self.normalized(token.content, normalizer) : token.content
      try enter(Entry(token: token, id: id, text: text), at: place)
    }
  }

  private mutating func enter(_ entry: Entry, at place: String) throws(ApusError) {
    let (token, number) = (entry.token, entries.count)
    entries.append(entry)
    placeOfID[entry.id] = number
    contents.insert(token.content.unicodeScalars, value: number)
    if token.isSpecial { specials.insert(token.content.unicodeScalars, value: number) }
    let form = entry.text.unicodeScalars
    let other =
      token.isNormalized
      ? normalizedForms.insert(form, value: number) : rawForms.insert(form, value: number)
    guard other == nil, !form.isEmpty else {
      throw Self.clash(
        "token \"\(token.content)\" is normalized to \"\(entry.text)\", like another or nothing",
        at: place)
    }
  }

  /// How many added tokens the model's vocabulary lacks.
  func countBeyond(_ vocabulary: Vocabulary) -> Int {
    entries.count { vocabulary.id(of: $0.token.content) == nil }
  }

  func id(of content: String) -> Int? {
    contents.value(of: content.unicodeScalars).map { entries[$0].id }
  }

  /// The id of the added token with number `number`, as ``SplitText/Piece/added`` gives it.
  func id(at number: Int) -> Int { entries[number].id }

  /// What an id stands for in decoded text, and whether it is left out with the special tokens.
  func decoded(_ id: Int) -> (text: String, isSpecial: Bool)? {
    guard let place = placeOfID[id] else { return nil }
    let text = entries[place].text
    return (text, specials.value(of: text.unicodeScalars) != nil)
  }

  /// Cuts out the tokens that are looked for in the original text.
  func extractRaw(from text: inout SplitText) { extract(rawForms, from: &text) }

  /// Cuts out the tokens that are looked for in the normalized text.
  func extractNormalized(from text: inout SplitText) { extract(normalizedForms, from: &text) }

  private func extract(_ forms: ScalarTrie, from text: inout SplitText) {
    guard !forms.isEmpty else { return }
    text.splitEach { text, range, pieces in
      let scalars = text.scalars
      var (place, done) = (range.lowerBound, range.lowerBound)
      while place < range.upperBound {
        guard let match = forms.longestMatch(in: scalars, place..<range.upperBound) else {
          place += 1
          continue
        }
        let found = place..<match.end
        place = match.end
        let token = entries[match.value].token
        if token.isSingleWord, !Self.standsAlone(found, in: scalars[range]) { continue }
        let taken = Self.widened(found, by: token, in: scalars[range], after: done)
        if done < taken.lowerBound { pieces.append(done..<taken.lowerBound) }
        if !taken.isEmpty { pieces.append(SplitText.Piece(range: taken, added: match.value)) }
        done = taken.upperBound
      }
      if done < range.upperBound { pieces.append(done..<range.upperBound) }
    }
  }

  private static func standsAlone(
    _ range: Range<Int>, in scalars: ArraySlice<Unicode.Scalar>
  ) -> Bool {
    let before = scalars[..<range.lowerBound].last
    let after = scalars[range.upperBound...].first
    return before?.has(.word) != true && after?.has(.word) != true
  }

  /// The range of a match with the white space that it takes along.
  private static func widened(
    _ range: Range<Int>, by token: AddedToken, in scalars: ArraySlice<Unicode.Scalar>,
    after done: Int
  ) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    if token.stripsLeft {
      while start > done, scalars[start - 1].has(.whitespace) { start -= 1 }
      start = min(max(start, done), end)  // an earlier token may have taken this white space
    }
    if token.stripsRight {
      while end < scalars.endIndex, scalars[end].has(.whitespace) { end += 1 }
    }
    return start..<end
  }

  private static func normalized(_ content: String, _ normalizer: (any Normalizer)?) -> String {
    var text = NormalizedText(content)
    normalizer?.normalize(&text)
    return text.string(0..<text.count)
  }

  private static func clash(_ problem: String, at place: String) -> ApusError {
    ApusError(.invalidFile, at: place, problem, remedy: "Restore the file from its source")
  }
}

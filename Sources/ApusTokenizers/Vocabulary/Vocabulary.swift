import ApusBase

/// The tokens of a model and their ids.
struct Vocabulary: Sendable {
  /// Ids are row numbers of an embedding, and far below this bound.
  static let idBound = 1 << 31

  /// The tokens, in the order of the file.
  let tokens: [String]
  /// For each token its id; ids may have gaps.
  let ids: [Int]
  /// For each token its place in `tokens`.
  let trie: ScalarTrie
  private let placeOfID: [Int: Int]

  /// Takes over entries, which must have different tokens and different ids.
  ///
  /// - Parameters:
  ///   - entries: Tokens and ids.
  ///   - place: File and field, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if two entries clash, an id is out of range, or there
  ///   are none.
  init(_ entries: [(token: String, id: Int)], at place: String) throws(ApusError) {
    func clash(_ problem: String) -> ApusError {
      ApusError(.invalidFile, at: place, problem, remedy: "Restore the file from its source")
    }
    guard !entries.isEmpty else { throw clash("the vocabulary is empty") }
    var trie = ScalarTrie()
    var placeOfID: [Int: Int] = [:]
    placeOfID.reserveCapacity(entries.count)
    for (place, entry) in entries.enumerated() {
      guard (0..<Self.idBound).contains(entry.id) else {
        throw clash("token \"\(entry.token)\" has the id \(entry.id), expected 0 to 2147483647")
      }
      if trie.insert(entry.token.unicodeScalars, value: place) != nil {
        throw clash("token \"\(entry.token)\" occurs twice")
      }
      if let other = placeOfID.updateValue(place, forKey: entry.id) {
        throw clash(
          "tokens \"\(entries[other].token)\" and \"\(entry.token)\" both have the id \(entry.id)")
      }
    }
    tokens = entries.map(\.token)
    ids = entries.map(\.id)
    self.trie = trie
    self.placeOfID = placeOfID
  }

  var count: Int { tokens.count }

  func id(of token: String) -> Int? { trie.value(of: token.unicodeScalars).map { ids[$0] } }

  func token(of id: Int) -> String? { placeOfID[id].map { tokens[$0] } }
}

/// The tokens `<0x00>` to `<0xFF>` of a vocabulary, which spell what it lacks byte by byte.
struct ByteTokens: Sendable {
  private let places: [Int32?]

  init(of vocabulary: Vocabulary) {
    places = (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      let token = "<0x\(byte < 16 ? "0" : "")\(digits)>"
      return vocabulary.trie.value(of: token.unicodeScalars).map { Int32(truncatingIfNeeded: $0) }
    }
  }

  /// The places of the tokens of some bytes, or nil if one of them is missing.
  func places(of bytes: [UInt8]) -> [Int32]? {
    var found: [Int32] = []
    for byte in bytes {
      guard let place = places[Int(byte)] else { return nil }
      found.append(place)
    }
    return found
  }
}

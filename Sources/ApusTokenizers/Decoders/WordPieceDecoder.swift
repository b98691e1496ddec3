import ApusBase

/// Joins continuing tokens to their words, and puts spaces between words.
struct WordPieceDecoder: TokenDecoder {
  let prefix: String
  let cleansUp: Bool

  init(prefix: String, cleansUp: Bool) {
    self.prefix = prefix
    self.cleansUp = cleansUp
  }

  init(reading node: JSONNode) throws(ApusError) {
    prefix = try node["prefix"].string()
    cleansUp = try node["cleanup"].bool()
  }

  /// Spaces that tokenization has put before punctuation and English clitics, in this order.
  private static let artifacts: [(written: [UInt8], meant: [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

  func decode(_ tokens: [String]) -> [String] {
    var text: [UInt8] = []
    for (index, token) in tokens.enumerated() {
      var bytes = Array(token.utf8)
      if index > 0, bytes.starts(with: prefix.utf8) {
        bytes.removeFirst(prefix.utf8.count)
      } else if index > 0 {
        bytes.insert(UInt8(ascii: " "), at: 0)
      }
      text.append(contentsOf: cleansUp ? Self.cleanedUp(bytes) : bytes)
    }
    return [String(decoding: text, as: UTF8.self)]
  }

  private static func cleanedUp(_ token: [UInt8]) -> [UInt8] {
    // Each artifact begins with a space; most tokens have one at most.
    guard token.contains(UInt8(ascii: " ")) else { return token }
    return artifacts.reduce(token) { replacing($1.written, by: $1.meant, in: $0) }
  }

  private static func replacing(_ pattern: [UInt8], by content: [UInt8], in text: [UInt8])
    -> [UInt8]
  {
    var result: [UInt8] = []
    var place = 0
    while place < text.count {
      if text[place...].starts(with: pattern) {
        result.append(contentsOf: content)
        place += pattern.count
      } else {
        result.append(text[place])
        place += 1
      }
    }
    return result
  }
}

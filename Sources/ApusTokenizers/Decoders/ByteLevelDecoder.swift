/// Reads tokens as bytes spelled by ``ByteAlphabet``; others stand for themselves.
struct ByteLevelDecoder: TokenDecoder {
  func decode(_ tokens: [String]) -> [String] {
    var bytes: [UInt8] = []
    for token in tokens {
      let start = bytes.count
      for letter in token.unicodeScalars {
        guard let byte = ByteAlphabet.byte(of: letter) else {
          bytes.removeSubrange(start...)
          bytes.append(contentsOf: token.utf8)
          break
        }
        bytes.append(byte)
      }
    }
    return [String(decoding: bytes, as: UTF8.self)]
  }
}

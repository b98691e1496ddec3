/// Reads runs of tokens such as `<0xE2>` as UTF-8; of what is none, each byte becomes U+FFFD.
struct ByteFallback: TokenDecoder {
  func decode(_ tokens: [String]) -> [String] {
    var (result, bytes) = ([String](), [UInt8]())
    func flush() {
      if let text = String(validating: bytes, as: UTF8.self) {
        if !bytes.isEmpty { result.append(text) }
      } else {
        result.append(contentsOf: repeatElement("\u{FFFD}", count: bytes.count))
      }
      bytes.removeAll()
    }
    for token in tokens {
      if let byte = Self.byte(token) {
        bytes.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  /// The byte for which a token stands, or nil.
  private static func byte(_ token: String) -> UInt8? {
    let text = token.utf8
    guard text.count == 6, text.starts(with: "<0x".utf8), text.last == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: text.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
  }
}

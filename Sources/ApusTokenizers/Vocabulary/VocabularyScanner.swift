import ApusBase
import Foundation

/// Reads the object of tokens and ids, or the list of scores or merges, out of a tokenizer.json.
///
/// The general JSON reader cannot: dictionaries of Swift strings take "é" as one letter and as
/// letter plus accent for the same key, while a vocabulary may hold both, with different ids. And
/// Foundation drops U+FEFF from the beginning of a string.
struct VocabularyScanner {
  private let bytes: [UInt8]
  private let place: String
  private var position = 0

  /// The entries of the object at `path`, in the order of the file.
  ///
  /// - Parameters:
  ///   - path: Keys from the top of the document to the object; none if it is the document.
  ///   - data: A whole JSON document, known to be valid.
  ///   - file: Name used in errors.
  /// - Returns: Tokens and ids.
  /// - Throws: ``ApusError`` `.invalidFile` if the object is missing or holds anything but whole
  ///   numbers.
  static func entries(
    at path: [String], of data: Data, file: String
  ) throws(ApusError) -> [(token: String, id: Int)] {
    let place = path.isEmpty ? file : "\(file), \(path.joined(separator: "."))"
    var scanner = VocabularyScanner(bytes: [UInt8](data), place: place)
    for key in path { try scanner.enter(key) }
    return try scanner.entries()
  }

  /// One value of a list's row.
  enum Cell: Equatable {
    case text(String)
    /// Anything but text, as the file writes it.
    case other(String)
  }

  /// The rows of the list at `path`; a row that is no list itself has one cell.
  ///
  /// - Parameters:
  ///   - path: Keys from the top of the document to the list.
  ///   - data: A whole JSON document, known to be valid.
  ///   - file: Name used in errors.
  /// - Returns: The rows.
  /// - Throws: ``ApusError`` `.invalidFile` if the list is missing or no list.
  static func rows(
    at path: [String], of data: Data, file: String
  ) throws(ApusError) -> [[Cell]] {
    let place = "\(file), \(path.joined(separator: "."))"
    var scanner = VocabularyScanner(bytes: [UInt8](data), place: place)
    for key in path { try scanner.enter(key) }
    guard scanner.next() == UInt8(ascii: "[") else {
      throw scanner.problem("expected an array, found something else")
    }
    scanner.position += 1
    var rows: [[Cell]] = []
    while let byte = scanner.next(), byte != UInt8(ascii: "]") {
      rows.append(try byte == UInt8(ascii: "[") ? scanner.row() : [scanner.cell()])
      if scanner.next() == UInt8(ascii: ",") { scanner.position += 1 }
    }
    return rows
  }

  private mutating func row() throws(ApusError) -> [Cell] {
    try expect("[")
    var cells: [Cell] = []
    while let byte = next(), byte != UInt8(ascii: "]") {
      cells.append(try cell())
      if next() == UInt8(ascii: ",") { position += 1 }
    }
    try expect("]")
    return cells
  }

  private mutating func cell() throws(ApusError) -> Cell {
    if next() == UInt8(ascii: "\"") { return .text(try string()) }
    let start = position
    try skipValue()
    return .other(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private init(bytes: [UInt8], place: String) {
    self.bytes = bytes
    self.place = place
  }

  /// Moves from the beginning of an object to the value of one of its keys.
  private mutating func enter(_ wanted: String) throws(ApusError) {
    try expect("{")
    while next() != UInt8(ascii: "}") {
      let key = try string()
      try expect(":")
      if key.utf8.elementsEqual(wanted.utf8) { return }
      try skipValue()
      if next() == UInt8(ascii: ",") { position += 1 }
    }
    throw problem("expected a vocabulary or merges, found nothing")
  }

  private mutating func entries() throws(ApusError) -> [(token: String, id: Int)] {
    guard next() == UInt8(ascii: "{") else {
      throw problem("expected an object of tokens and their ids, found something else")
    }
    position += 1
    var entries: [(token: String, id: Int)] = []
    while next() != UInt8(ascii: "}") {
      let token = try string()
      try expect(":")
      entries.append((token, try id(of: token)))
      if next() == UInt8(ascii: ",") { position += 1 }
    }
    return entries
  }

  private mutating func id(of token: String) throws(ApusError) -> Int {
    _ = next()
    let start = position
    try skipValue()
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let id = Int(text) else {
      throw problem("expected a whole number as id of \"\(token)\", found \(text.prefix(40))")
    }
    return id
  }

  /// The next byte that is not white space, without taking it.
  private mutating func next() -> UInt8? {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
      position += 1
    }
    return position < bytes.count ? bytes[position] : nil
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(ApusError) {
    guard next() == UInt8(ascii: character) else {
      throw problem("expected \"\(character)\" at byte \(position)")
    }
    position += 1
  }

  private mutating func skipValue() throws(ApusError) {
    var depth = 0
    repeat {
      switch next() {
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        position += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        position += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): position += 1
      case nil: throw problem("the file ends too early")
      default: skipLiteral()
      }
    } while depth > 0
  }

  /// Skips a number, true, false or null.
  private mutating func skipLiteral() {
    let ends = Array(" \t\n\r,:{}[]\"".utf8)
    repeat { position += 1 } while position < bytes.count && !ends.contains(bytes[position])
  }

  private mutating func string() throws(ApusError) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): text.append(contentsOf: try escape())
      default: text.append(byte)
      }
    }
    throw problem("the file ends too early")
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "/"): 0x2F,
    UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C, UInt8(ascii: "n"): 0x0A,
    UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
  ]

  /// The UTF-8 bytes of what stands behind a backslash.
  private mutating func escape() throws(ApusError) -> [UInt8] {
    guard position < bytes.count else { throw problem("the file ends too early") }
    let letter = bytes[position]
    position += 1
    if let byte = Self.escapes[letter] { return [byte] }
    guard letter == UInt8(ascii: "u"), let first = codeUnit() else {
      throw problem("there is an unknown escape before byte \(position)")
    }
    var units = [first]
    if UTF16.isLeadSurrogate(first), bytes[position...].starts(with: Array("\\u".utf8)) {
      position += 2
      if let second = codeUnit() { units.append(second) }
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }

  private mutating func codeUnit() -> UInt16? {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4 else { return nil }
    position += 4
    return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
  }

  private func problem(_ text: String) -> ApusError {
    ApusError(.invalidFile, at: place, text, remedy: "Restore the file from its source")
  }
}

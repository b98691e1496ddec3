import ApusBase

/// The fields of one package in the catalogue that matter here.
struct DebianStanza {
  /// Where the stanza begins.
  let source: SourcePlace
  /// Field values by name, first lines only.
  fileprivate(set) var fields: [String: String] = [:]
  /// What makes the stanza unreadable, if anything does.
  fileprivate(set) var fault: ApusError?

  /// The one-line description, in English.
  var summary: String? { fields["Description"] ?? fields["Description-en"] }
}

/// The stanzas of a Debian control file: `Field: value` lines, continued by indented ones, with
/// blank lines between packages.
///
/// - Source: Debian Policy Manual, section 5.1.
struct DebianStanzaReader {
  private static let wanted = [
    "Description", "Description-en", "Maintainer", "Package", "Section",
  ]

  private var lines: LineReader
  private let file: String

  init(_ bytes: ByteReader, file: String) {
    lines = LineReader(bytes)
    self.file = file
  }

  /// The next stanza, good or faulty; nil at the end.
  mutating func next() throws(ApusError) -> DebianStanza? {
    var stanza: DebianStanza?
    while let line = try lines.next() {
      if line.bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }), !line.isTooLong {
        if let stanza { return stanza }
        continue
      }
      let place = SourcePlace(file: file, line: line.number)
      var current = stanza ?? DebianStanza(source: place)
      Self.read(line, at: place, into: &current)
      stanza = current
    }
    return stanza
  }

  private static func read(
    _ line: LineReader.Line, at place: SourcePlace, into stanza: inout DebianStanza
  ) {
    let isContinuation = line.bytes.first == 0x20 || line.bytes.first == 0x09
    guard !isContinuation || stanza.fields.isEmpty, stanza.fault == nil else { return }
    guard let colon = line.bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0, !isContinuation
    else {
      if !isContinuation { stanza.fault = place.badRow("the line is no field \"Name: value\"") }
      return
    }
    let name = String(decoding: line.bytes[..<colon], as: UTF8.self)
    guard wanted.contains(name) else { return }
    guard let value = String(validating: line.bytes[(colon + 1)...], as: UTF8.self) else {
      stanza.fault = place.badRow("the field \"\(name)\" is not valid UTF-8")
      return
    }
    stanza.fields[name] = String(value.drop(while: \.isWhitespace))
  }
}

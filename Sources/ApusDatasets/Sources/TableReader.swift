import ApusBase

/// How the fields of a table are separated and quoted.
public enum TableFormat: String, Hashable, Codable, Sendable {
  /// Commas, quoted as RFC 4180 says.
  case csv
  /// Tabs, quoted as RFC 4180 says.
  case tsv
  /// Tabs, where a quotation mark is a character like any other, as in GLUE's files.
  case rawTSV = "raw-tsv"

  var delimiter: UInt8 { self == .csv ? UInt8(ascii: ",") : UInt8(ascii: "\t") }
  var isQuoted: Bool { self != .rawTSV }
}

/// The records of a CSV or TSV file with their lines, strictly as RFC 4180 has them.
///
/// Own code, because SwiftCSV 0.10.0 knows no line numbers, takes an unclosed quotation mark as
/// the end of the last field, drops spaces before fields and wants the whole file as one string.
/// Here a record that breaks a rule is an error with its line, and reading goes on behind it.
///
/// - Source: RFC 4180, section 2; line feeds alone also end records, as most programs write them.
struct TableReader {
  /// Bytes of a record beyond which it is reported instead of kept.
  static let longestRecord = LineReader.longestLine

  /// A record whose fields are not yet checked to be UTF-8.
  struct Record {
    /// Line on which the record begins; the first is 1.
    let line: Int
    /// What breaks the rules of RFC 4180, if anything does; then the fields mean nothing.
    var fault: String?
    /// Bytes of the fields, without quotes and delimiters.
    var fields: [[UInt8]] = []

    /// Whether the record is an empty line.
    var isBlank: Bool { fault == nil && fields.count == 1 && fields[0].isEmpty }
  }

  private var bytes: ByteReader
  private let format: TableFormat
  private var line = 1
  private var isAtStart = true

  init(_ bytes: ByteReader, format: TableFormat) {
    self.bytes = bytes
    self.format = format
  }

  /// The next record, good or faulty; nil at the end.
  mutating func next() throws(ApusError) -> Record? {
    if isAtStart {
      isAtStart = false
      if try bytes.available().starts(with: byteOrderMark) { bytes.take(3) }
    }
    guard try bytes.peek() != nil else { return nil }
    var record = Record(line: line)
    var size = 0
    while true {
      let field = try nextField(&record.fault, budget: Self.longestRecord - size)
      size += field.count
      record.fields.append(field)
      guard record.fault == nil, try takeDelimiter() else { break }
    }
    if record.fault != nil {
      try skipLine()
    } else if try bytes.next() != nil {  // the line feed that ended the last field
      line += 1
    }
    return record
  }

  /// Reads a field up to the delimiter, line feed or end behind it.
  private mutating func nextField(
    _ fault: inout String?, budget: Int
  ) throws(ApusError) -> [UInt8] {
    if format.isQuoted, try bytes.peek() == UInt8(ascii: "\"") {
      return try quotedField(&fault, budget: budget)
    }
    var field: [UInt8] = []
    while let byte = try bytes.peek(), byte != format.delimiter, byte != UInt8(ascii: "\n") {
      bytes.take(1)
      if byte == UInt8(ascii: "\r"), try endsLine() { break }
      if byte == UInt8(ascii: "\r") {
        fault = "there is a carriage return without its line feed"
      } else if byte == UInt8(ascii: "\""), format.isQuoted {
        fault = "there is a quotation mark inside an unquoted field"
      } else if field.count >= budget {
        fault = Self.tooLong
      }
      if fault != nil { break }
      field.append(byte)
    }
    return field
  }

  private mutating func quotedField(
    _ fault: inout String?, budget: Int
  ) throws(ApusError) -> [UInt8] {
    let openingLine = line
    bytes.take(1)
    var field: [UInt8] = []
    while let byte = try bytes.next() {
      if byte == UInt8(ascii: "\"") {
        switch try bytes.peek() {
        case UInt8(ascii: "\""): bytes.take(1)
        case nil, UInt8(ascii: "\n"), format.delimiter: return field
        case UInt8(ascii: "\r"):
          bytes.take(1)
          if try !endsLine() { fault = "there is a carriage return behind a quoted field" }
          return field
        default:
          fault = "there is text between a closing quotation mark and the next delimiter"
          return field
        }
      } else if byte == UInt8(ascii: "\n") {
        line += 1
      }
      guard field.count < budget else {
        fault = Self.tooLong
        return field
      }
      field.append(byte)
    }
    fault =
      "the quotation mark opened on line \(openingLine) is never closed, which swallows the "
      + "rest of the file (\(line - openingLine + 1) lines)"
    return field
  }

  private static let tooLong = "the row is longer than \(longestRecord) bytes"

  /// Whether a line feed or the end comes next.
  private mutating func endsLine() throws(ApusError) -> Bool {
    let next = try bytes.peek()
    return next == nil || next == UInt8(ascii: "\n")
  }

  private mutating func takeDelimiter() throws(ApusError) -> Bool {
    guard try bytes.peek() == format.delimiter else { return false }
    bytes.take(1)
    return true
  }

  /// Moves to the beginning of the next line.
  private mutating func skipLine() throws(ApusError) {
    while let byte = try bytes.next() {
      guard byte == UInt8(ascii: "\n") else { continue }
      line += 1
      return
    }
  }
}

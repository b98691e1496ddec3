public import ApusBase
public import Foundation

/// Data sets in CSV or TSV files whose first record names the columns.
///
/// Records are read one at a time; besides the examples, memory holds one chunk and one record.
/// Blank lines are passed over.
public enum DelimitedTable {
  /// Reads files in order as one data set.
  ///
  /// - Parameters:
  ///   - files: The files; the name of the first becomes the name of the data set.
  ///   - format: How fields are separated and quoted.
  ///   - columns: Columns that make an example, by the names in the header.
  ///   - labelNames: Known classes, for a test file that must agree with its training file.
  ///   - badRows: What happens to a row that cannot be read; a bad header always fails.
  /// - Returns: The examples in file order.
  /// - Throws: ``ApusError`` `.fileAccess` if a file cannot be read; `.invalidFile` if the header
  ///   lacks a column or has it twice; `.invalidData` with file and line for a bad row, or if
  ///   there is no row at all.
  public static func load(
    _ files: [URL], format: TableFormat, columns: ColumnSelection, labelNames: [String]? = nil,
    badRows: BadRowPolicy = .fail
  ) throws(ApusError) -> Dataset {
    var builder = DatasetBuilder(
      name: files.first?.relativePath ?? "no file", policy: badRows, knownNames: labelNames)
    for file in files {
      let name = file.relativePath
      var records = TableReader(try ByteReader(file: file), format: format)
      let header = try Header(records.next(), file: name, columns: columns)
      while let record = try records.next() {
        guard !record.isBlank else { continue }
        let source = SourcePlace(file: name, line: record.line)
        try builder.add { () throws(ApusError) in try header.row(record, source) }
      }
    }
    return try builder.finish()
  }

  /// The first record: where each chosen column stands.
  private struct Header {
    let columns: ColumnSelection
    let width: Int
    let positions: [String: Int]

    init(
      _ record: TableReader.Record?, file: String, columns: ColumnSelection
    ) throws(ApusError) {
      guard let record else {
        throw ApusError(
          .invalidFile, at: file, "the file is empty", remedy: "Give a file with a header and rows")
      }
      let place = SourcePlace(file: file, line: record.line)
      let names = try DelimitedTable.texts(of: record, place)
      var positions: [String: Int] = [:]
      for name in columns.names {
        let found = names.indices.filter { names[$0] == name }
        guard found.count == 1 else {
          throw ApusError(
            .invalidFile, at: place.description,
            found.isEmpty
              ? "the header has no column \"\(name)\""
              : "the header has the column \"\(name)\" \(found.count) times",
            remedy: found.isEmpty
              ? Spelling.remedy(for: name, allowed: names) : "Give every column its own name")
        }
        positions[name] = found[0]
      }
      self.columns = columns
      self.width = names.count
      self.positions = positions
    }

    func row(_ record: TableReader.Record, _ source: SourcePlace) throws(ApusError) -> RawRow {
      let fields = try DelimitedTable.texts(of: record, source)
      guard fields.count == width else {
        throw source.badRow("expected \(width) fields as in the header, found \(fields.count)")
      }
      func field(_ name: String?) -> String? { name.flatMap { positions[$0] }.map { fields[$0] } }
      let (label, labelText) = (field(columns.label), field(columns.labelText))
      let (pair, client) = (field(columns.pair), field(columns.client))
      guard label ?? labelText != "" else { throw source.badRow("the label is empty") }
      guard client != "" else { throw source.badRow("the client is empty") }
      let list = { (text: String?) in text?.split(separator: " ").map(String.init) ?? [] }
      let start = field(columns.responseStart)
      guard start.map({ Int($0) != nil }) ?? true else {
        throw source.badRow("\"\(start ?? "")\" is no place in a text")
      }
      return RawRow(
        text: field(columns.text) ?? "", pair: pair == "" ? nil : pair,
        response: field(columns.response),
        words: columns.tags.map { _ in list(field(columns.text)) },
        tags: columns.tags.map { list(field($0)) }, responseStart: start.flatMap { Int($0) },
        label: (label ?? labelText).map(RawRow.Label.text), labelText: labelText, client: client,
        source: source)
    }
  }

  private static func texts(
    of record: TableReader.Record, _ source: SourcePlace
  ) throws(ApusError) -> [String] {
    if let fault = record.fault { throw source.badRow(fault) }
    var texts: [String] = []
    for field in record.fields {
      guard let text = String(validating: field, as: UTF8.self) else {
        throw source.badRow("the row is not valid UTF-8")
      }
      texts.append(text)
    }
    return texts
  }
}

public import ApusBase
public import Foundation

/// Data sets in JSONL: one JSON object on each line, its fields chosen by name.
///
/// Files are read line by line; besides the examples, memory holds one chunk and one line.
/// Blank lines are passed over. A field that is chosen must be there in every row.
public enum JSONLines {
  /// Reads files in order as one data set.
  ///
  /// - Parameters:
  ///   - files: The files; the name of the first becomes the name of the data set.
  ///   - columns: Fields that make an example; labels may be numbers or strings.
  ///   - labelNames: Known classes, for a test file that must agree with its training file.
  ///   - badRows: What happens to a row that cannot be read.
  /// - Returns: The examples in file order.
  /// - Throws: ``ApusError`` `.fileAccess` if a file cannot be read; `.invalidData` with file and
  ///   line for a bad row, or if there is no row at all.
  public static func load(
    _ files: [URL], columns: ColumnSelection, labelNames: [String]? = nil,
    badRows: BadRowPolicy = .fail
  ) throws(ApusError) -> Dataset {
    var builder = DatasetBuilder(
      name: files.first?.relativePath ?? "no file", policy: badRows, knownNames: labelNames)
    for file in files {
      var lines = LineReader(try ByteReader(file: file))
      while let line = try lines.next() {
        let isBlank = line.bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        guard !isBlank || line.isTooLong else { continue }
        let source = SourcePlace(file: file.relativePath, line: line.number)
        try builder.add { () throws(ApusError) in try row(line, columns, source) }
      }
    }
    return try builder.finish()
  }

  private static func row(
    _ line: LineReader.Line, _ columns: ColumnSelection, _ source: SourcePlace
  ) throws(ApusError) -> RawRow {
    guard !line.isTooLong else {
      throw source.badRow("the line is longer than \(LineReader.longestLine) bytes")
    }
    guard String(validating: line.bytes, as: UTF8.self) != nil else {
      throw source.badRow("the line is not valid UTF-8")
    }
    do throws(ApusError) {
      let object = try JSONNode(parsing: Data(line.bytes), file: source.description)
      let fields = try object.dictionary()
      for name in columns.names where fields[name] == nil {
        throw source.badRow(
          "there is no field \"\(name)\"",
          remedy: Spelling.remedy(for: name, allowed: fields.keys.sorted()))
      }
      return try row(object, columns, source)
    } catch {
      guard error.code == .invalidFile else { throw error }
      throw ApusError(
        .invalidData, at: error.location, error.problem,
        remedy: "Correct this row, or let bad rows be skipped", cause: error)
    }
  }

  private static func row(
    _ object: JSONNode, _ columns: ColumnSelection, _ source: SourcePlace
  ) throws(ApusError) -> RawRow {
    var pair: String?
    if let name = columns.pair, object[name].exists {
      let text = try object[name].string()
      pair = text.isEmpty ? nil : text
    }
    let labelText = try columns.labelText.map { name throws(ApusError) in
      try object[name].string()
    }
    var label = labelText.map(RawRow.Label.text)
    if let name = columns.label {
      let isText = object[name].foundationValue is String
      label = isText ? .text(try object[name].string()) : .index(try object[name].int())
    }
    if case .text(let text) = label, text.isEmpty { throw source.badRow("the label is empty") }
    let client = try columns.client.map { name throws(ApusError) in
      object[name].foundationValue is String
        ? try object[name].string() : String(try object[name].int())
    }
    if client?.isEmpty == true { throw source.badRow("the client is empty") }
    let response = try columns.response.map { name throws(ApusError) in
      try object[name].string()
    }
    let words = try columns.tags.map { _ throws(ApusError) in
      try texts(object[columns.text])
    }
    let tags = try columns.tags.map { name throws(ApusError) in try texts(object[name]) }
    let start = try columns.responseStart.map { name throws(ApusError) in
      try object[name].int()
    }
    let plain = words == nil ? try object[columns.text].string() : ""
    return RawRow(
      text: words.map { $0.joined(separator: " ") } ?? plain, pair: pair,
      response: response, words: words, tags: tags, responseStart: start, label: label,
      labelText: labelText, client: client, source: source)
  }

  /// An array of strings or whole numbers, or the words between the spaces of a string.
  private static func texts(_ node: JSONNode) throws(ApusError) -> [String] {
    if node.foundationValue is String {
      return try node.string().split(separator: " ").map(String.init)
    }
    var texts: [String] = []
    for entry in try node.array() {
      texts.append(
        entry.foundationValue is String ? try entry.string() : String(try entry.int()))
    }
    return texts
  }
}

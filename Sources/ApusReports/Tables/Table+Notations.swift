extension Table {
  /// The table in GitHub's Markdown, padded so that its source is legible too.
  public var markdown: String {
    let cells = rows.map { $0.map { Self.markdownCell($0.shown) } }
    let titles = columns.map { Self.markdownCell($0.title) }
    let widths = columns.indices.map { column in
      max(3, ([titles] + cells).map { DisplayText.width(of: $0[column]) }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      let padded = columns.indices.map {
        DisplayText.padded(cells[$0], to: widths[$0], columns[$0].alignment)
      }
      return "| \(padded.joined(separator: " | ")) |\n"
    }
    let rule = columns.indices.map { column in
      let dashes = String(repeating: "-", count: widths[column] - 2)
      return switch columns[column].alignment {
      case .left: "\(dashes)--"
      case .right: "\(dashes)-:"
      case .center: ":\(dashes):"
      }
    }
    return line(titles) + line(rule) + cells.map(line).joined()
  }

  /// The table by RFC 4180, with exact values and the columns' keys in the first line.
  public var csv: String {
    let lines = [columns.map { Self.csvField($0.key) }] + rows.map { $0.map(Self.csvField) }
    return lines.map { $0.joined(separator: ",") + "\r\n" }.joined()
  }

  /// The table as a JSON array with one object a row, exact values under the columns' keys.
  public var json: String {
    guard !rows.isEmpty else { return "[]\n" }
    let objects = rows.map { row in
      "  " + JSONText.object(zip(columns, row).map { ($0.key, $1.value) })
    }
    return "[\n\(objects.joined(separator: ",\n"))\n]\n"
  }

  private static func markdownCell(_ text: String) -> String {
    var result = ""
    for character in DisplayText.harmless(text) {
      if "\\|<>*_`[]&~".contains(character) { result += "\\" }
      result.append(character)
    }
    return result
  }

  private static func csvField(_ cell: Cell) -> String {
    switch cell.value {
    case .text(let text): csvField(text)
    case .null: ""
    case .integer, .number: cell.value.encoded == "null" ? cell.shown : cell.value.encoded
    }
  }

  private static func csvField(_ text: String) -> String {
    // By scalars: "\r\n" is one character, which contains neither "\r" nor "\n".
    guard text.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else {
      return text
    }
    return "\"\(text.replacing("\"", with: "\"\""))\""
  }
}

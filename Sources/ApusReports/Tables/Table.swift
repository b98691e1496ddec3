/// A table that can be shown to people and handed to programs.
///
/// A result is built once as a table and then rendered as the user asked for it; see ``Format``.
public struct Table: Sendable {
  /// A column: its heading for people and its key for programs.
  public struct Column: Sendable {
    /// Heading of terminal and Markdown tables.
    public let title: String
    /// Name in CSV's first line and in JSON's objects; unique within the table.
    public let key: String
    /// Where its cells stand.
    public let alignment: Alignment

    /// Creates a column; without a key, programs read the title.
    public init(_ title: String, key: String? = nil, _ alignment: Alignment = .left) {
      self.title = title
      self.key = key ?? title
      self.alignment = alignment
    }
  }

  /// A notation for tables; the raw value is its name on the command line.
  public enum Format: String, CaseIterable, Sendable {
    /// Aligned columns in a frame, for a person at a terminal.
    case terminal = "table"
    /// A table of GitHub's Markdown.
    case markdown
    /// Comma-separated values by RFC 4180, exact values.
    case csv
    /// An array of objects, exact values.
    case json
  }

  /// The columns, from left to right.
  public let columns: [Column]
  /// The rows so far, each as long as `columns`.
  public private(set) var rows: [[Cell]] = []

  /// Creates a table without rows.
  public init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row at the bottom.
  ///
  /// - Precondition: As many cells as columns.
  public mutating func append(_ row: [Cell]) {
    precondition(row.count == columns.count, "\(row.count) cells for \(columns.count) columns")
    rows.append(row)
  }

  /// The whole table in the notation that a user asked for.
  ///
  /// - Parameters:
  ///   - format: The notation.
  ///   - terminal: Decides colours and width of `.terminal`; the other formats ignore it.
  /// - Returns: The text, with a line break at its end.
  public func rendered(as format: Format, on terminal: Terminal) -> String {
    switch format {
    case .terminal: text(on: terminal)
    case .markdown: markdown
    case .csv: csv
    case .json: json
    }
  }
}

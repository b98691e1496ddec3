import ApusBase

/// A row as its file has it, before its class has an index.
struct RawRow {
  /// A class as the file writes it.
  enum Label {
    /// A JSON number.
    case index(Int)
    /// A JSON string or a CSV field.
    case text(String)
  }

  let text: String
  let pair: String?
  let response: String?
  var words: [String]?
  var tags: [String]?
  var responseStart: Int?
  let label: Label?
  let labelText: String?
  let client: String?
  let source: SourcePlace
}

extension SourcePlace {
  /// An error about the row at this place.
  func badRow(
    _ problem: String, remedy: String = "Correct this row, or let bad rows be skipped"
  ) -> ApusError {
    ApusError(.invalidData, at: description, problem, remedy: remedy)
  }
}

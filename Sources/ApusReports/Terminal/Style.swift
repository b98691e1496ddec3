/// A look of terminal text: colours and weight, as ANSI codes.
///
/// ``Terminal/styled(_:_:)`` applies it, and drops it where colour is not allowed.
public struct Style: Sendable, Hashable {
  let codes: [String]

  /// The text as it is.
  public static let plain = Style(codes: [])
  /// Heavier.
  public static let bold = Style(codes: ["1"])
  /// Fainter, for what matters less.
  public static let dim = Style(codes: ["2"])
  /// Failures.
  public static let red = Style(codes: ["31"])
  /// Successes, and the best of a column.
  public static let green = Style(codes: ["32"])
  /// Warnings.
  public static let yellow = Style(codes: ["33"])
  /// Progress.
  public static let cyan = Style(codes: ["36"])

  /// Both looks at once.
  public func and(_ other: Style) -> Style { Style(codes: codes + other.codes) }

  /// The foreground in a colour of the 256-colour table.
  static func foreground(_ color: Int) -> Style { Style(codes: ["38", "5", "\(color)"]) }

  /// Black on a colour of the 256-colour table.
  static func background(_ color: Int) -> Style {
    Style(codes: ["38", "5", "16", "48", "5", "\(color)"])
  }
}

/// A line made of pieces in different styles, which is cut to a width before it is styled.
struct StyledLine {
  private var pieces: [(text: String, style: Style)] = []

  /// Columns that the whole line takes.
  var width: Int { pieces.reduce(0) { $0 + DisplayText.width(of: $1.text) } }

  mutating func append(_ text: String, _ style: Style = .plain) { pieces.append((text, style)) }

  /// The line with its styles, cut to `limit` columns if it is longer.
  func rendered(on terminal: Terminal, limit: Int = .max) -> String {
    guard width > limit else { return pieces.map { terminal.styled($0.text, $0.style) }.joined() }
    var result = ""
    var left = limit
    for piece in pieces where left > 0 {
      let isLast = DisplayText.width(of: piece.text) >= left
      let ellipsis = DisplayText.ellipsis(on: terminal)
      let text =
        isLast
        ? DisplayText.truncated(piece.text + ellipsis, to: left, on: terminal) : piece.text
      result += terminal.styled(text, piece.style)
      left -= DisplayText.width(of: text)
      if isLast { break }
    }
    return result
  }
}

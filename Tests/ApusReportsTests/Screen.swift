/// The little of a terminal that is needed to see what remains on the screen.
struct Screen {
  private(set) var isCursorVisible = true
  private var rows: [[Character]] = [[]]
  private var (row, column) = (0, 0)

  /// What can be read, without empty lines at the end.
  var lines: [String] {
    let texts = rows.map { String($0) }
    return Array(texts.prefix((texts.lastIndex { !$0.isEmpty } ?? -1) + 1))
  }

  /// Plays text with the codes that the display uses; no line may be so long that it wraps.
  init(showing text: String) {
    var rest = Substring(text)
    while let character = rest.popFirst() {
      switch character {
      case "\u{1B}":
        guard let code = rest.prefixMatch(of: #/\[\??([0-9;]*)([A-Za-z])/#) else { continue }
        rest.removeFirst(code.0.count)
        obey(code.2, Int(code.1) ?? 1)
      case "\n":
        (row, column) = (row + 1, 0)
        if row == rows.count { rows.append([]) }
      case "\r": column = 0
      default:
        while rows[row].count <= column { rows[row].append(" ") }
        rows[row][column] = character
        column += 1
      }
    }
  }

  private mutating func obey(_ command: Substring, _ count: Int) {
    switch command {
    case "A": row = max(0, row - count)
    case "K": rows[row].removeSubrange(min(column, rows[row].count)...)
    case "J":
      rows[row].removeSubrange(min(column, rows[row].count)...)
      rows.removeSubrange((row + 1)...)
    case "h": isCursorVisible = true
    case "l": isCursorVisible = false
    default: break
    }
  }
}

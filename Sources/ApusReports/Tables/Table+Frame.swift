extension Table {
  /// The table in a frame of light lines, cut to the terminal's width if a person watches.
  ///
  /// Columns of words give up space first, the widest before the others, because a cut number
  /// would be a wrong number. A file or a pipe always gets everything.
  public func text(on terminal: Terminal) -> String {
    let lines = terminal.allowsUnicode ? FrameLines.light : .ascii
    let titles = columns.map { DisplayText.harmless($0.title) }
    let texts = rows.map { $0.map { DisplayText.harmless($0.shown) } }
    let natural = columns.indices.map { column in
      ([titles] + texts).map { DisplayText.width(of: $0[column]) }.max() ?? 0
    }
    let widths = terminal.isTTY ? fitted(natural, into: terminal.width) : natural

    func rule(_ joints: (left: String, middle: String, right: String)) -> String {
      let dashes = widths.map { String(repeating: lines.horizontal, count: $0 + 2) }
      let line = joints.left + dashes.joined(separator: joints.middle) + joints.right
      return terminal.styled(line, .dim) + "\n"
    }
    let bar = terminal.styled(lines.vertical, .dim)
    func line(_ cells: [String], _ style: (Int) -> Style) -> String {
      let padded = columns.indices.map { column in
        let text = DisplayText.truncated(cells[column], to: widths[column], on: terminal)
        let cell = DisplayText.padded(text, to: widths[column], columns[column].alignment)
        return " \(terminal.styled(cell, style(column))) "
      }
      return bar + padded.joined(separator: bar) + bar + "\n"
    }
    let body = zip(texts, rows).map { texts, row in line(texts) { row[$0].style } }
    return rule(lines.top) + line(titles) { _ in .bold } + rule(lines.inner) + body.joined()
      + rule(lines.bottom)
  }

  /// Column widths that add up to at most `total` with their frame, where that is possible.
  private func fitted(_ natural: [Int], into total: Int) -> [Int] {
    var widths = natural
    var excess = natural.reduce(0, +) + 3 * natural.count + 1 - total
    let words = columns.indices.filter { columns[$0].alignment == .left }
    let others = columns.indices.filter { columns[$0].alignment != .left }
    for (group, least) in [(words, 6), (others, 4)] {
      while excess > 0, let widest = group.max(by: { widths[$0] < widths[$1] }),
        widths[widest] > least
      {
        widths[widest] -= 1
        excess -= 1
      }
    }
    return widths
  }
}

/// The characters that a frame is drawn with.
private struct FrameLines {
  typealias Joints = (left: String, middle: String, right: String)
  let horizontal: String
  let vertical: String
  let top: Joints
  let inner: Joints
  let bottom: Joints

  static let light = FrameLines(
    horizontal: "─", vertical: "│", top: ("┌", "┬", "┐"), inner: ("├", "┼", "┤"),
    bottom: ("└", "┴", "┘"))
  static let ascii = FrameLines(
    horizontal: "-", vertical: "|", top: ("+", "+", "+"), inner: ("+", "+", "+"),
    bottom: ("+", "+", "+"))
}

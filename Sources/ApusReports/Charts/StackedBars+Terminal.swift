extension StackedBars {
  /// The chart as lines of text, one a client, legible without colour.
  ///
  /// A bar is written in the letters of its classes, on their colours where colour is allowed.
  ///
  /// - Parameter terminal: Width (at most 100 columns are used) and colours.
  /// - Returns: The text, with a line break at its end.
  public func text(on terminal: Terminal) -> String {
    let width = min(terminal.width, 100) - 1
    let heading = DisplayText.heading(title, width: width, on: terminal)
    let parts = parts
    guard !bars.isEmpty, !parts.isEmpty else { return heading + "  nothing to draw\n" }
    let names = shownBars.map { bar in
      DisplayText.truncated(DisplayText.harmless(bar.name), to: max(6, width / 4), on: terminal)
    }
    let totals = shownBars.map { Quantity.count($0.total) }
    let nameWidth = names.map { DisplayText.width(of: $0) }.max() ?? 0
    let totalWidth = totals.map(\.count).max() ?? 0
    let barWidth = max(8, width - nameWidth - totalWidth - 3)

    var result = heading
    for (bar, (name, total)) in zip(shownBars, zip(names, totals)) {
      let lengths = Self.divided(barWidth, by: counts(of: bar, in: parts))
      let cells = zip(parts, lengths).map { part, length in
        terminal.styled(String(repeating: Self.letter(part), count: length), Self.style(part))
      }
      result += "\(DisplayText.padded(name, to: nameWidth)) "
      result += "\(DisplayText.padded(total, to: totalWidth, .right))"
      result += bar.total > 0 ? "  \(cells.joined())\n" : "\n"
    }
    if let remainder {
      let text = DisplayText.truncated(remainder, to: width, on: terminal)
      result += terminal.styled(text, .dim) + "\n"
    }
    return result + legend(parts, width: width, terminal)
  }

  private func legend(_ parts: [Part], width: Int, _ terminal: Terminal) -> String {
    var (result, used) = ("", 0)
    for part in parts {
      let name = DisplayText.truncated(
        DisplayText.harmless(part.name), to: max(6, width - 6), on: terminal)
      let length = 6 + DisplayText.width(of: name)
      if used > 0, used + length > width { (result, used) = (result + "\n", 0) }
      result += "  \(terminal.styled(" \(Self.letter(part)) ", Self.style(part))) \(name)"
      used += length
    }
    return result + "\n"
  }

  private static func style(_ part: Part) -> Style {
    part.index.map { .background(Palette.color($0).terminal) } ?? .background(250)
  }
}

extension LineChart {
  /// The chart as lines of text, for a terminal or a log.
  ///
  /// With colour the curves are fine braille lines; several curves without colour get a glyph
  /// each, because shape is then all that tells them apart.
  ///
  /// - Parameters:
  ///   - terminal: Width (at most 100 columns are used), colours and characters.
  ///   - rows: Height of the plot without title, axis and legend.
  /// - Returns: The text, with a line break at its end.
  public func text(on terminal: Terminal, rows: Int = 14) -> String {
    let rows = max(3, rows)
    let width = min(terminal.width, 100) - 1
    let heading = DisplayText.heading(title, width: width, on: terminal)
    guard !shownPoints.isEmpty else { return heading + "  nothing to draw\n" }
    let ticks = ticks(columns: max(2, width / 10), rows: max(3, rows / 3))
    let labels = ticks.y.labels(yAxis.style)
    let margin = labels.map { DisplayText.width(of: $0) }.max() ?? 0
    let look = Look(of: self, on: terminal)
    var canvas = DotCanvas(columns: max(10, width - margin - 2), rows: rows)
    draw(on: &canvas, ticks, look)
    let rowLabels = Dictionary(
      zip(ticks.y.values.map { canvas.row(at: ticks.y.part($0)) }, labels),
      uniquingKeysWith: { first, _ in first })

    var result = heading + DisplayText.harmless(yAxis.label) + "\n"
    for row in 0..<rows {
      let label = DisplayText.padded(rowLabels[row] ?? "", to: margin, .right)
      let axis = rowLabels[row] == nil ? look.vertical : look.yTick
      let cells = canvas.text(row: row, on: terminal, style: look.style)
      result += "\(label) \(terminal.styled(axis, .dim))\(cells)\n"
    }
    return result + xAxisText(ticks.x, canvas, margin: margin + 1, look)
      + legend(width: width, look)
  }

  private func draw(on canvas: inout DotCanvas, _ ticks: (x: Ticks, y: Ticks), _ look: Look) {
    for (index, series) in series.enumerated() {
      for run in series.runs {
        let path = run.map { (x: ticks.x.part($0.x), y: ticks.y.part($0.y)) }
        canvas.draw(path, look.ink(index), owner: index)
      }
    }
    for reference in shownReferences {
      canvas.rule(at: ticks.y.part(reference.y), look.ruleInk, owner: Look.reference)
    }
  }

  /// The axis below the plot with its ticks, their labels and its name.
  private func xAxisText(_ ticks: Ticks, _ canvas: DotCanvas, margin: Int, _ look: Look) -> String {
    let places = ticks.values.map { canvas.column(at: ticks.part($0)) }
    var axis = Array(repeating: look.horizontal, count: canvas.columns)
    var line = ""
    for (place, label) in zip(places, ticks.labels(xAxis.style)) {
      axis[place] = look.xTick
      // Centred below its tick, but neither outside the plot nor into the label before.
      let room = margin + 1 + canvas.columns - label.count
      let start = min(room, margin + 1 + place - label.count / 2)
      guard line.isEmpty || start > line.count else { continue }
      line += DisplayText.spaces(start - line.count) + label
    }
    let name = DisplayText.harmless(xAxis.label)
    let indent = margin + 1 + (canvas.columns - DisplayText.width(of: name)) / 2
    let rule = DisplayText.spaces(margin) + look.terminal.styled(look.corner + axis.joined(), .dim)
    return "\(rule)\n\(line)\n\(DisplayText.spaces(indent))\(name)\n"
  }

  /// The names of curves and references, as many on a line as fit.
  private func legend(width: Int, _ look: Look) -> String {
    var entries = series.enumerated().map { index, series in
      let hasPoints = !series.runs.isEmpty
      return (look.sample(index), series.name + (hasPoints ? "" : " (nothing to draw)"), index)
    }
    entries += shownReferences.map {
      (String(repeating: look.dash, count: 2), legend(of: $0), Look.reference)
    }
    var (result, used) = ("", 0)
    for (sample, name, owner) in entries {
      let room = width - sample.count - 3
      let name = DisplayText.truncated(DisplayText.harmless(name), to: room, on: look.terminal)
      let length = sample.count + DisplayText.width(of: name) + 3
      if used > 0, used + length + 2 > width { (result, used) = (result + "\n", 0) }
      result += "  \(look.terminal.styled(sample, look.style(owner))) \(name)"
      used += length
    }
    return result + "\n"
  }
}

/// The characters and colours of a chart on one terminal.
private struct Look {
  /// Owner of cells that belong to a reference line.
  static let reference = -1

  let terminal: Terminal
  let vertical: String
  let yTick: String
  let horizontal: String
  let xTick: String
  let corner: String
  let dash: Character
  private let usesDots: Bool

  init(of chart: LineChart, on terminal: Terminal) {
    let isRich = terminal.allowsUnicode
    self.terminal = terminal
    (vertical, yTick, horizontal, xTick, corner, dash) =
      isRich ? ("│", "┤", "─", "┬", "└", "╌") : ("|", "+", "-", "+", "+", ".")
    usesDots = isRich && (terminal.allowsColor || chart.series.count == 1)
  }

  func ink(_ series: Int) -> DotCanvas.Ink { usesDots ? .dots : .glyph(glyph(series)) }

  /// What reference lines are drawn with.
  var ruleInk: DotCanvas.Ink { usesDots ? .dots : .glyph(dash) }

  func sample(_ series: Int) -> String { usesDots ? "━━" : String(glyph(series)) }

  func style(_ owner: Int) -> Style {
    owner == Self.reference ? .dim : .foreground(Palette.color(owner).terminal)
  }

  private func glyph(_ series: Int) -> Character {
    let glyphs: [Character] =
      terminal.allowsUnicode
      ? ["●", "○", "▲", "△", "■", "□", "◆", "◇"] : ["*", "o", "x", "+", "#", "@", "%", "&"]
    return glyphs[series % glyphs.count]
  }
}

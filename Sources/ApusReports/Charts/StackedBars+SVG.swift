extension StackedBars {
  /// The chart as a standalone SVG document.
  ///
  /// A part that is wide enough carries the name of its class; every part shows its count under
  /// the pointer. It follows the reader's light or dark setting.
  public var svg: String {
    var svg = SVG(width: 760, title: title)
    let parts = parts
    svg.addText(SVG.fitted(title, into: 720, size: 16), x: 20, y: 30, class: "title")
    let entries = parts.map { (swatch: SVG.Swatch.field($0.index), name: legendName($0)) }
    let legendEnd = svg.addLegend(entries, x: 12, y: 54, width: 728)
    let names = shownBars.map { SVG.fitted($0.name, into: 180, size: 12) }
    let totals = shownBars.map { Quantity.count($0.total) }
    let nameWidth = names.map { SVG.width(of: $0, size: 12) }.max() ?? 0
    let totalWidth = totals.map { SVG.width(of: $0, size: 12) }.max() ?? 0
    let left = 20 + nameWidth + 12 + totalWidth + 10
    var y = legendEnd + 26
    if bars.isEmpty || parts.isEmpty {
      svg.addText("nothing to draw", x: 380, y: y + 14, class: "soft", anchor: "middle")
      y += 24
    }
    for (bar, (name, total)) in zip(shownBars, zip(names, totals)) {
      svg.addText(name, x: 20 + nameWidth, y: y + 14, class: "name", anchor: "end")
      svg.addText(total, x: left - 10, y: y + 14, class: "soft", anchor: "end")
      add(bar, parts, to: &svg, left: left, top: y)
      y += 24
    }
    if let remainder {
      svg.addText(remainder, x: left, y: y + 14, class: "soft")
      y += 24
    }
    let description = "\(bars.count) clients, \(parts.count) classes"
    return svg.document(height: y + 14, description: description)
  }

  /// Whether parts need letters, because there are more of them than colours.
  private var hasLetters: Bool { parts.count > Palette.colors.count }

  private func legendName(_ part: Part) -> String {
    hasLetters ? "\(Self.letter(part))  \(part.name)" : part.name
  }

  private func add(_ bar: Bar, _ parts: [Part], to svg: inout SVG, left: Double, top: Double) {
    let width = 740 - left
    let counts = counts(of: bar, in: parts)
    var x = left
    for (part, count) in zip(parts, counts) where count > 0 {
      let share = Double(count) / Double(bar.total)
      let length = share * width
      svg.add(
        "rect",
        [
          "x": .number(x), "y": .number(top), "width": .number(max(length - 1, 0.5)),
          "height": "20", "rx": "2", "class": .text(SVG.fieldClass(part.index)),
        ],
        tip: "\(bar.name), \(part.name): \(Quantity.count(count)) (\(Quantity.percent(share)))")
      let labels = hasLetters ? [part.name, String(Self.letter(part))] : [part.name]
      if let label = labels.first(where: { SVG.width(of: $0, size: 11) + 6 < length }) {
        svg.addText(label, x: x + length / 2, y: top + 14, class: "inside", anchor: "middle")
      }
      x += length
    }
  }
}

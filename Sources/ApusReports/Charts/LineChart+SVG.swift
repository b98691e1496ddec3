extension LineChart {
  /// The chart as a standalone SVG document.
  ///
  /// It follows the reader's light or dark setting, tells curves apart by colour and by marker,
  /// and shows a point's values under the pointer.
  public var svg: String {
    var svg = SVG(width: 760, title: title)
    svg.addText(SVG.fitted(title, into: 720, size: 16), x: 20, y: 30, class: "title")
    let legendEnd = svg.addLegend(legendEntries, x: 20, y: 54, width: 720)
    let top = legendEnd + 46
    let height = top + 320 + 56
    svg.addText(SVG.fitted(yAxis.label, into: 400, size: 12), x: 20, y: top - 16, class: "soft")
    let ticks = ticks(columns: 9, rows: 6)
    let labels = ticks.y.labels(yAxis.style)
    let margin = 30 + (labels.map { SVG.width(of: $0, size: 12) }.max() ?? 0)
    let plot = Plot(left: margin, right: 736, top: top, bottom: top + 320, ticks: ticks)
    addAxes(to: &svg, plot, labels)
    if shownPoints.isEmpty {
      let center = (plot.left + plot.right) / 2
      svg.addText("nothing to draw", x: center, y: top + 160, class: "soft", anchor: "middle")
    }
    for reference in shownReferences {
      let y = plot.y(reference.y)
      svg.addLine(from: (plot.left, y), to: (plot.right, y), class: "reference")
    }
    for (index, series) in series.enumerated() { add(series, index, to: &svg, plot) }
    let drawn = series.map { "\($0.name): \($0.points.count { $0.isShown }) points" }
    return svg.document(height: height, description: drawn.joined(separator: "; "))
  }

  private var legendEntries: [(swatch: SVG.Swatch, name: String)] {
    let curves = series.enumerated().map { index, series in
      let suffix = series.runs.isEmpty ? " (nothing to draw)" : ""
      return (swatch: SVG.Swatch.line(index), name: series.name + suffix)
    }
    return curves + shownReferences.map { (swatch: .reference, name: legend(of: $0)) }
  }

  private func addAxes(to svg: inout SVG, _ plot: Plot, _ yLabels: [String]) {
    for (value, label) in zip(plot.ticks.y.values, yLabels) {
      let y = plot.y(value)
      svg.addLine(from: (plot.left, y), to: (plot.right, y), class: "grid")
      svg.addText(label, x: plot.left - 9, y: y + 4, class: "soft", anchor: "end")
    }
    for (value, label) in zip(plot.ticks.x.values, plot.ticks.x.labels(xAxis.style)) {
      let x = plot.x(value)
      svg.addLine(from: (x, plot.bottom), to: (x, plot.bottom + 5), class: "axis")
      svg.addText(label, x: x, y: plot.bottom + 20, class: "soft", anchor: "middle")
    }
    svg.addLine(from: (plot.left, plot.bottom), to: (plot.right, plot.bottom), class: "axis")
    svg.addText(
      SVG.fitted(xAxis.label, into: 600, size: 12), x: (plot.left + plot.right) / 2,
      y: plot.bottom + 42, class: "soft", anchor: "middle")
  }

  private func add(_ series: Series, _ index: Int, to svg: inout SVG, _ plot: Plot) {
    let color = index % Palette.colors.count
    for run in series.runs where run.count > 1 {
      let places = run.map { "\(SVG.short(plot.x($0.x))),\(SVG.short(plot.y($0.y)))" }
      svg.add(
        "polyline",
        ["points": .text(places.joined(separator: " ")), "class": .text("line s\(color)")])
    }
    // A marker on every point of a long curve would hide it; one lone point is its marker.
    let stride = 1 + series.points.count / 40
    for run in series.runs {
      for (position, point) in run.enumerated() where position.isMultiple(of: stride) {
        let values = "\(xAxis.style.text(point.x)), \(yAxis.style.text(point.y))"
        svg.addMarker(
          index, x: plot.x(point.x), y: plot.y(point.y), tip: "\(series.name): \(values)")
      }
    }
  }
}

/// The rectangle of a chart in which curves are drawn.
private struct Plot {
  let left: Double
  let right: Double
  let top: Double
  let bottom: Double
  let ticks: (x: Ticks, y: Ticks)

  func x(_ value: Double) -> Double { left + ticks.x.part(value) * (right - left) }

  func y(_ value: Double) -> Double { bottom - ticks.y.part(value) * (bottom - top) }
}

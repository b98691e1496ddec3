extension SVG {
  /// What stands before a name in a legend.
  enum Swatch {
    /// A piece of the curve with that index, and its marker.
    case line(Int)
    /// A piece of a reference line.
    case reference
    /// A field of the colour with that index; nil is what is left over.
    case field(Int?)
  }

  /// Adds a legend that flows into as many lines as it needs.
  ///
  /// - Parameters:
  ///   - entries: Swatches and names, in reading order.
  ///   - x: Left edge.
  ///   - y: Middle of the first line.
  ///   - width: Space to the right of `x`; longer names are cut.
  /// - Returns: The middle of the last line.
  mutating func addLegend(
    _ entries: [(swatch: Swatch, name: String)], x: Double, y: Double, width: Double
  ) -> Double {
    var (left, middle) = (x, y)
    for (swatch, name) in entries {
      let name = Self.fitted(name, into: width - 30, size: 12)
      let length = 30 + Self.width(of: name, size: 12)
      if left > x, left + length > x + width { (left, middle) = (x, middle + 20) }
      add(swatch, x: left, y: middle)
      addText(name, x: left + 28, y: middle + 4, class: "name")
      left += length + 18
    }
    return middle
  }

  private mutating func add(_ swatch: Swatch, x: Double, y: Double) {
    switch swatch {
    case .line(let series):
      addLine(from: (x, y), to: (x + 22, y), class: "line s\(series % Palette.colors.count)")
      addMarker(series, x: x + 11, y: y)
    case .reference:
      addLine(from: (x, y), to: (x + 22, y), class: "reference")
    case .field(let color):
      add(
        "rect",
        [
          "x": .number(x + 8), "y": .number(y - 7), "width": "14", "height": "14", "rx": "3",
          "class": .text(Self.fieldClass(color)),
        ])
    }
  }

  /// The class of a field in the colour with that index, or of what is left over.
  static func fieldClass(_ color: Int?) -> String {
    color.map { "f\($0 % Palette.colors.count)" } ?? "rest"
  }

  /// Adds a straight line.
  mutating func addLine(
    from start: (x: Double, y: Double), to end: (x: Double, y: Double), class name: String
  ) {
    add(
      "line",
      [
        "x1": .number(start.x), "y1": .number(start.y), "x2": .number(end.x), "y2": .number(end.y),
        "class": .text(name),
      ])
  }

  /// Adds the marker of a curve, whose shape tells curves apart where colour does not.
  mutating func addMarker(_ series: Int, x: Double, y: Double, tip: String? = nil) {
    let corners: [(x: Double, y: Double)]
    switch series % 4 {
    case 0:
      let look = "dot f\(series % Palette.colors.count)"
      add(
        "circle", ["cx": .number(x), "cy": .number(y), "r": "4", "class": .text(look)], tip: tip)
      return
    case 1: corners = [(-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6)]
    case 2: corners = [(0, -4.8), (4.6, 3.6), (-4.6, 3.6)]
    default: corners = [(0, -5), (5, 0), (0, 5), (-5, 0)]
    }
    let points = corners.map { "\(Self.short(x + $0.x)),\(Self.short(y + $0.y))" }
    let look = "dot f\(series % Palette.colors.count)"
    add(
      "polygon", ["points": .text(points.joined(separator: " ")), "class": .text(look)], tip: tip)
  }
}

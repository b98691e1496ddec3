extension SVG {
  /// Looks shared by all drawings, for light and for dark pages.
  static let styleSheet: String = {
    var sheet = """

      .apus-chart { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", \
      sans-serif; font-size: 12px; }
      .apus-chart .ground { fill: #ffffff; }
      .apus-chart text { fill: #333a44; }
      .apus-chart .title { font-size: 16px; font-weight: 600; fill: #14181f; }
      .apus-chart .soft { fill: #6a7380; }
      .apus-chart .inside { fill: #ffffff; font-size: 11px; font-weight: 600; }
      .apus-chart .grid { stroke: #e4e7ec; stroke-width: 1; }
      .apus-chart .axis { stroke: #9aa3af; stroke-width: 1; fill: none; }
      .apus-chart .reference { stroke: #6a7380; stroke-width: 1.5; stroke-dasharray: 6 4; }
      .apus-chart .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; \
      stroke-linecap: round; }
      .apus-chart .dot { stroke: #ffffff; stroke-width: 1; }
      .apus-chart .rest { fill: #6f7885; }

      """
    for (index, color) in Palette.colors.enumerated() {
      sheet += ".apus-chart .s\(index) { stroke: \(color.light); }\n"
      sheet += ".apus-chart .f\(index) { fill: \(color.light); }\n"
    }
    sheet += """
      @media (prefers-color-scheme: dark) {
      .apus-chart .ground { fill: #12161c; }
      .apus-chart text { fill: #cfd6df; }
      .apus-chart .title { fill: #f2f5f9; }
      .apus-chart .soft { fill: #95a0ae; }
      .apus-chart .inside { fill: #12161c; }
      .apus-chart .grid { stroke: #262d36; }
      .apus-chart .axis { stroke: #5a6573; }
      .apus-chart .reference { stroke: #95a0ae; }
      .apus-chart .dot { stroke: #12161c; }
      .apus-chart .rest { fill: #8b96a5; }

      """
    for (index, color) in Palette.colors.enumerated() {
      sheet += ".apus-chart .s\(index) { stroke: \(color.dark); }\n"
      sheet += ".apus-chart .f\(index) { fill: \(color.dark); }\n"
    }
    return sheet + "}\n"
  }()
}

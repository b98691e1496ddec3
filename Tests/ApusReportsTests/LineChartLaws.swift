import Testing

@testable import ApusReports

@Suite struct LineChartLaws {
  typealias Point = LineChart.Point

  static let nasty = [
    "<script>alert(1)</script>", "a & b", "\"quoted\" 'name'", "🙂👩‍👩‍👧", "مرحبا \u{202E}abc",
    "]]>", "\u{0}\u{1B}[2J", "\u{FFFE}", "&lt;", "",
  ]

  private func chart(_ series: [LineChart.Series], reference: Double? = nil) -> LineChart {
    LineChart(
      title: "AG News", x: .init("round", .whole), y: .init("accuracy", .percent), series: series,
      references: reference.map { [.init("majority class", y: $0)] } ?? [])
  }

  private static let shapes: [[Point]] = [
    [], [Point(1, 0.5)], [Point(1, .nan)], [Point(.infinity, 1), Point(2, 0.3)],
    [Point(1, 0.5), Point(2, 0.5), Point(3, 0.5)], [Point(1, 0), Point(2, .nan), Point(3, 1)],
    [Point(1, -1e300), Point(2, 1)], [Point(1, -1e99), Point(2, 1e99)],
    (1...500).map { Point(Double($0), 1 / Double($0)) },
  ]

  @Test(arguments: shapes)
  func `any points make a chart of the promised size`(points: [Point]) throws {
    for (color, unicode) in [(true, true), (false, true), (false, false)] {
      for width in [20, 80, 200] {
        let terminal = Terminal.sample(color: color, unicode: unicode, width: width)
        let text = chart([.init("FedIT", points)], reference: 0.25).text(on: terminal, rows: 8)
        for line in text.replacing(#/\u{1B}\[[0-9;]*m/#, with: "").split(separator: "\n") {
          #expect(DisplayText.width(of: String(line)) <= width)
        }
      }
    }
    let xml = try WellFormedXML(chart([.init("FedIT", points)], reference: 0.25).svg)
    let numbers = xml.attributes.filter { $0.contains("nan") || $0.contains("inf") }
    #expect(numbers.isEmpty)
  }

  @Test(arguments: nasty)
  func `any name gives well-formed SVG that shows it`(name: String) throws {
    let chart = LineChart(
      title: name, x: .init(name), y: .init(name), series: [.init(name, [Point(1, 2)])],
      references: [.init(name, y: 1)])
    let xml = try WellFormedXML(chart.svg)
    #expect(xml.elements.filter { $0 == "script" }.isEmpty)
    let harmless = DisplayText.harmless(name).replacing("\u{FFFE}", with: "\u{FFFD}")
    #expect(xml.texts.contains(harmless))
  }

  @Test func `an SVG needs nothing from outside`() {
    let svg = chart([.init("FedIT", [Point(1, 2)])]).svg
    #expect(!svg.contains("href") && !svg.contains("url(") && !svg.contains("@import"))
    #expect(svg.contains("prefers-color-scheme: dark"))
  }

  @Test func `a value that is not finite interrupts the curve and moves nothing`() {
    let clean = LineChart.Series("a", [Point(1, 0.1), Point(2, 0.2), Point(4, 0.4)])
    let broken = LineChart.Series(
      "a", [Point(1, 0.1), Point(2, 0.2), Point(3, .nan), Point(4, 0.4)])
    #expect(broken.runs.map(\.count) == [2, 1])
    let (a, b) = (chart([clean]), chart([broken]))
    #expect(a.ticks(columns: 8, rows: 5).y.values == b.ticks(columns: 8, rows: 5).y.values)
  }

  @Test func `no ESC byte without colour, some with it`() {
    let chart = chart(
      [.init("a\u{1B}[1m", [Point(1, 0), Point(2, 1)]), .init("b", [Point(1, 1), Point(2, 0)])],
      reference: 0.5)
    #expect(!chart.text(on: .sample(color: false)).contains("\u{1B}"))
    #expect(chart.text(on: .sample(color: true)).contains("\u{1B}"))
  }

  @Test func `without Unicode a chart is pure ASCII`() {
    let text = chart([.init("a", [Point(1, 0), Point(2, 1)])], reference: 0.5)
      .text(on: .sample(unicode: false))
    #expect(text.utf8.allSatisfy { $0 < 0x80 })
  }

  @Test func `a rising curve runs from the lower left to the upper right`() {
    let text = chart([.init("FedIT", [Point(0, 0), Point(10, 1)])])
      .text(on: .sample(unicode: false, width: 40), rows: 5)
    #expect(
      text == """
        AG News
        accuracy
        100% +                             ****
             |                     ********
         50% +             ********
             |     ********
          0% +*****
             ++---------------+---------------+
              0               5              10
                            round
          * FedIT

        """)
  }

  @Test func `curves differ in shape where they cannot differ in colour`() {
    let text = chart([.init("a", [Point(1, 0)]), .init("b", [Point(2, 1)])])
      .text(on: .sample(color: false))
    #expect(text.contains("● a") && text.contains("○ b"))
  }

  @Test func `the legend tells a reference's value and an empty curve`() {
    let text = chart([.init("a", [Point(1, 0)]), .init("b", [])], reference: 0.153)
      .text(on: .sample(color: false))
    #expect(text.contains("majority class 15.3%"))
    #expect(text.contains("b (nothing to draw)"))
  }
}

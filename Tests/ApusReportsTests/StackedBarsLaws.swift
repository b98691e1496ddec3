import ApusBase
import Testing

@testable import ApusReports

@Suite struct StackedBarsLaws {
  private func bars(classes: Int, clients: Int, limit: Int = 40) -> StackedBars {
    StackedBars(
      title: "Label distribution", classNames: (0..<classes).map { "class \($0)" },
      bars: (0..<clients).map { client in
        .init("client \(client)", (0..<classes).map { (client * 7 + $0 * 3) % 11 })
      }, limit: limit)
  }

  @Test(arguments: 0..<100)
  func `division loses nothing and errs by less than one`(seed: UInt64) {
    var random = RandomStream(seed: seed)
    let counts = (0..<(1 + random.integer(below: 12))).map { _ in random.integer(below: 1000) }
    let length = random.integer(below: 90)
    let lengths = StackedBars.divided(length, by: counts)
    let total = counts.reduce(0, +)
    #expect(lengths.reduce(0, +) == (total > 0 ? length : 0))
    for (part, count) in zip(lengths, counts) where total > 0 {
      #expect(abs(Double(part) - Double(count) / Double(total) * Double(length)) < 1)
    }
  }

  @Test func `a bar is written in the letters of its classes`() {
    let chart = StackedBars(
      title: "AG News", classNames: ["World", "Sports"],
      bars: [.init("東京", [30, 10]), .init("b", [0, 1200]), .init("empty", [])])
    #expect(
      chart.text(on: .sample(width: 30)) == """
        AG News
        東京     40  AAAAAAAAAAAABBBB
        b     1,200  BBBBBBBBBBBBBBBB
        empty     0
           A  World   B  Sports

        """)
  }

  @Test(arguments: [(1, 1), (4, 12), (26, 3), (40, 50), (0, 3), (3, 0)])
  func `lines fit the terminal and hold no ESC without colour`(classes: Int, clients: Int) {
    for width in [20, 60, 100] {
      let text = bars(classes: classes, clients: clients).text(on: .sample(width: width))
      #expect(!text.contains("\u{1B}"))
      for line in text.split(separator: "\n") {
        #expect(DisplayText.width(of: String(line)) <= width)
      }
    }
  }

  @Test func `classes beyond the letters are one part, and no example is lost`() {
    let chart = bars(classes: 40, clients: 5)
    let parts = chart.parts
    #expect(parts.count == 26)
    #expect(parts.last?.name == "15 other classes")
    #expect(parts.flatMap(\.classes).sorted() == Array(0..<40))
    for bar in chart.bars {
      #expect(chart.counts(of: bar, in: parts).reduce(0, +) == bar.total)
    }
  }

  @Test func `clients beyond the limit are counted in a line`() {
    let chart = bars(classes: 3, clients: 1005, limit: 5)
    let text = chart.text(on: .sample())
    #expect(text.contains("and 1,000 more clients"))
    #expect(!text.contains("client 5 "))
  }

  @Test(arguments: LineChartLaws.nasty)
  func `any name gives well-formed SVG`(name: String) throws {
    let chart = StackedBars(
      title: name, classNames: [name], bars: [.init(name, [3, -2, 5]), .init(name, [])])
    let xml = try WellFormedXML(chart.svg)
    #expect(xml.elements.filter { $0 == "script" }.isEmpty)
  }

  @Test(arguments: [(0, 0), (3, 0), (0, 3), (12, 45)])
  func `any size gives well-formed SVG`(classes: Int, clients: Int) throws {
    _ = try WellFormedXML(bars(classes: classes, clients: clients).svg)
  }
}

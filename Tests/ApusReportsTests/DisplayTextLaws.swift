import Testing

@testable import ApusReports

@Suite struct DisplayTextLaws {
  static let names = [
    "abc", "東京大学", "Żółć", "e\u{301}", "👩‍👩‍👧", "🇩🇪", "❤️", "مستشفى", "हिन्दी", "한국어", "a\u{200B}b",
  ]

  @Test(arguments: [
    ("abc", 3), ("東京", 4), ("e\u{301}", 1), ("👩‍👩‍👧", 2), ("🇩🇪", 2), ("한국", 4), ("ﬀ", 1),
    ("ＡＢ", 4), ("", 0),
  ])
  func `a cluster takes the columns that terminals give it`(text: String, width: Int) {
    #expect(DisplayText.width(of: text) == width)
  }

  @Test(arguments: names)
  func `padding reaches exactly the width asked for`(name: String) {
    for alignment in [Alignment.left, .right, .center] {
      #expect(DisplayText.width(of: DisplayText.padded(name, to: 20, alignment)) == 20)
    }
  }

  @Test(arguments: names)
  func `truncation never exceeds the width and cuts no cluster`(name: String) {
    let long = String(repeating: name, count: 5)
    for width in 0...20 {
      for unicode in [true, false] {
        let terminal = Terminal.sample(unicode: unicode)
        let cut = DisplayText.truncated(long, to: width, on: terminal)
        #expect(DisplayText.width(of: cut) <= width)
        let ellipsis = DisplayText.ellipsis(on: terminal)
        if cut.hasSuffix(ellipsis) { #expect(long.hasPrefix(cut.dropLast(ellipsis.count))) }
      }
    }
  }

  @Test func `a name cannot move the cursor or turn the text around`() {
    let harmless = DisplayText.harmless("a\u{1B}[2Jb\r\nc\u{202E}d\u{9B}1m\u{7}")
    for scalar in harmless.unicodeScalars {
      #expect(scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value))
      #expect(scalar.value != 0x202E)
    }
  }

  @Test func `a styled line keeps its text and its limit`() {
    var line = StyledLine()
    line.append("accuracy ", .bold)
    line.append("東京大学", .green)
    for limit in 1...17 {
      let text = line.rendered(on: .sample(), limit: limit)
      #expect(DisplayText.width(of: text) <= limit)
    }
    #expect(line.rendered(on: .sample()) == "accuracy 東京大学")
    #expect(line.rendered(on: .sample(), limit: 12) == "accuracy 東…")
    #expect(line.rendered(on: .sample(), limit: 9) == "accuracy…")
    #expect(line.rendered(on: .sample(), limit: 10) == "accuracy …")
  }
}

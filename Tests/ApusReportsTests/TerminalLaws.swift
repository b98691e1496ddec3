import Testing

@testable import ApusReports

@Suite struct TerminalLaws {
  @Test(arguments: [
    ([:], true, false),
    (["TERM": "xterm"], true, true),
    (["TERM": "xterm"], false, false),
    (["TERM": "dumb"], true, false),
    (["TERM": "xterm", "NO_COLOR": "1"], true, false),
    (["TERM": "xterm", "NO_COLOR": ""], true, true),
    (["CLICOLOR_FORCE": "1"], false, true),
    (["CLICOLOR_FORCE": "0"], false, false),
    (["CLICOLOR_FORCE": "1", "NO_COLOR": "0"], true, false),
  ])
  func `colour follows NO_COLOR, then CLICOLOR_FORCE, then TERM`(
    environment: [String: String], isTTY: Bool, expected: Bool
  ) {
    #expect(Terminal(environment: environment, isTTY: isTTY).allowsColor == expected)
  }

  @Test(arguments: [
    ([:], false), (["LANG": "C.UTF-8"], true), (["LANG": "de_DE.utf8"], true),
    (["LC_ALL": "C", "LANG": "en_US.UTF-8"], false),
    (["LC_ALL": "", "LC_CTYPE": "en_US.UTF-8", "LANG": "C"], true),
  ])
  func `the first set locale decides about Unicode`(
    environment: [String: String], expected: Bool
  ) {
    #expect(Terminal(environment: environment, isTTY: true).allowsUnicode == expected)
  }

  @Test func `the window decides the width, then COLUMNS, then 80`() {
    #expect(Terminal(environment: ["COLUMNS": "50"], isTTY: true, width: 120).width == 120)
    #expect(Terminal(environment: ["COLUMNS": "50"], isTTY: true, width: 0).width == 50)
    #expect(Terminal(environment: ["COLUMNS": "wide"], isTTY: true).width == 80)
    #expect(Terminal(environment: ["COLUMNS": "-3"], isTTY: true).width == 20)
  }

  @Test func `a style vanishes where colour is not allowed`() {
    #expect(Terminal.sample(color: false).styled("a", .bold.and(.red)) == "a")
    #expect(Terminal.sample(color: true).styled("a", .bold.and(.red)) == "\u{1B}[1;31ma\u{1B}[0m")
  }
}

extension Terminal {
  /// A terminal of known abilities.
  static func sample(
    color: Bool = false, unicode: Bool = true, width: Int = 80, isTTY: Bool = true
  ) -> Terminal {
    var environment = ["TERM": "xterm", "LANG": unicode ? "C.UTF-8" : "C"]
    if !color { environment["NO_COLOR"] = "1" }
    return Terminal(environment: environment, isTTY: isTTY, width: width)
  }
}

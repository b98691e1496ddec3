import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite struct DelimitedTableLaws {
  private func load(
    _ text: String, format: TableFormat = .csv,
    columns: ColumnSelection = ColumnSelection(label: "label"), badRows: BadRowPolicy = .fail
  ) throws -> Dataset {
    try withFile("table.csv", text.utf8) { url in
      try DelimitedTable.load([url], format: format, columns: columns, badRows: badRows)
    }
  }

  @Test(arguments: ["\n", "\r\n"])
  func `quoted fields hold delimiters, quotes and line breaks`(newline: String) throws {
    let data = try load(
      [
        "\u{FEFF}label,\"te\"\"xt\",text", "1,,\"a \"\"b\"\", c\nd\"", "", "0,x, spaced ",
        "1,\"\",\"\"\"\"",
      ].joined(separator: newline))
    #expect(data.examples.map(\.text) == ["a \"b\", c\nd", " spaced ", "\""])
    #expect(data.examples.map(\.label) == [1, 0, 1])
    #expect(data.examples.map(\.source.line) == [2, 5, 6])
  }

  @Test func `a pair, names and clients are read from their columns`() throws {
    let data = try load(
      "who\ts1\ts2\tgold\nann\tone\ttwo\tyes\nbob\tthree\t\tno\n", format: .tsv,
      columns: ColumnSelection(text: "s1", pair: "s2", label: "gold", client: "who"))
    #expect(data.examples.map(\.pair) == ["two", nil])
    #expect(data.labelNames == ["no", "yes"])
    #expect(data.examples.map(\.client) == ["ann", "bob"])
  }

  @Test func `a raw table takes quotation marks as they are`() throws {
    let data = try load("text\tlabel\n\"open and 5\" wide\t0\n", format: .rawTSV)
    #expect(data.examples.map(\.text) == ["\"open and 5\" wide"])
  }

  @Test(arguments: [
    ("a,b,0", "expected 2 fields as in the header, found 3"),
    ("a", "expected 2 fields as in the header, found 1"),
    ("a\"b,0", "quotation mark inside an unquoted field"),
    ("\"a\"b,0", "text between a closing quotation mark"),
    ("\"a\nb,0\nc,0", "the quotation mark opened on line 4 is never closed"),
    ("a\rb,0", "carriage return without its line feed"),
    ("\"a\"\rb,0", "carriage return behind a quoted field"),
    ("a,", "the label is empty"),
    (",0", "the text is empty"),
    ("a,-1", "class index -1"),
  ])
  func `a bad row is named by file and line`(row: String, problem: String) throws {
    let error = try failure { try load("text,label\n\"x\ny\",0\n" + row) }
    #expect(error.code == .invalidData)
    #expect(error.description.contains("table.csv:4: "), "\(error)")
    #expect(error.description.contains(problem), "\(error)")
  }

  @Test func `reading goes on behind a bad row`() throws {
    let data = try load(
      "text,label\na\"b,0\nc,1\n\"d\"e,0\nf,0\n", badRows: .skip(reports: 9))
    #expect(data.examples.map(\.text) == ["c", "f"])
    #expect(data.skipped.reports.count == 2)
    #expect(data.skipped.reports[1].contains("table.csv:4: "))
  }

  @Test func `a header without the column or with it twice is an error`() throws {
    let missing = try failure { try load("txt,label\na,0\n") }
    #expect(missing.code == .invalidFile)
    #expect(missing.description.contains("table.csv:1: the header has no column \"text\""))
    #expect(missing.description.contains("Did you mean \"txt\"?"))
    let twice = try failure { try load("text,label,text\na,0,b\n") }
    #expect(twice.description.contains("has the column \"text\" 2 times"))
  }

  @Test(arguments: [("", "the file is empty"), ("text,label\n", "the source holds no rows")])
  func `a table without rows is an error`(text: String, problem: String) throws {
    #expect(try failure { try load(text) }.problem == problem)
  }

  @Test(arguments: 0..<20)
  func `any fields survive writing by the rules and reading`(seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    let alphabet: [Character] = ["a", "\"", ",", "\n", "\r", "\t", " ", "é", "😀", "\r\n"]
    let texts = (0..<30).map { _ in
      "x" + String((0..<random.integer(below: 9)).map { _ in alphabet[random.integer(below: 10)] })
    }
    let rows = texts.map { "\"" + $0.replacingOccurrences(of: "\"", with: "\"\"") + "\",7" }
    let data = try load("text,label\r\n" + rows.joined(separator: "\r\n"))
    #expect(data.examples.map { Array($0.text.utf8) } == texts.map { Array($0.utf8) })
  }
}

import Foundation
import Testing

@testable import ApusReports

@Suite struct TableLaws {
  static let nasty = [
    "a,b", "say \"hi\"", "two\nlines", "CR\r\nLF", "| pipe |", "back\\slash", "東京", "", " space ",
    "\u{1B}[31mred", "<b>", "\u{2028}",
  ]

  private func table(_ names: [String]) -> Table {
    var table = Table([.init("Name"), .init("Uplink", key: "uplinkBytes", .right)])
    for name in names { table.append([.text(name), .bytes(1_234_567)]) }
    return table
  }

  @Test(arguments: [true, false])
  func `every line of a frame is equally wide in any script`(unicode: Bool) {
    let names = DisplayTextLaws.names + Self.nasty
    let text = table(names).rendered(as: .terminal, on: .sample(unicode: unicode))
    let lines = text.split(separator: "\n")
    #expect(lines.count == names.count + 4)
    #expect(Set(lines.map { DisplayText.width(of: String($0)) }).count == 1)
  }

  @Test(arguments: [24, 40, 60])
  func `a frame fits the terminal, and numbers are cut last`(width: Int) {
    let text = table([String(repeating: "long name ", count: 10)])
      .rendered(as: .terminal, on: .sample(width: width))
    for line in text.split(separator: "\n") {
      #expect(DisplayText.width(of: String(line)) <= width)
    }
    #expect(text.contains("1.2 MB"))
    #expect(text.contains("…"))
  }

  @Test func `a pipe gets everything, however wide`() {
    let name = String(repeating: "long name ", count: 20)
    let text = table([name]).rendered(as: .terminal, on: .sample(width: 40, isTTY: false))
    #expect(text.contains(name))
  }

  @Test func `a name brings no control code into the frame`() {
    let text = table(Self.nasty).rendered(as: .terminal, on: .sample(color: false))
    #expect(!text.contains("\u{1B}"))
  }

  @Test func `a styled cell keeps the frame aligned`() {
    var table = Table([.init("Method"), .init("Accuracy", .right)])
    table.append([Table.Cell.text("FedIT").styled(.green), .percent(0.5)])
    let colored = table.rendered(as: .terminal, on: .sample(color: true))
    let plain = table.rendered(as: .terminal, on: .sample(color: false))
    #expect(colored.replacing(#/\u{1B}\[[0-9;]*m/#, with: "") == plain)
    #expect(colored.contains("\u{1B}[32mFedIT"))
  }

  @Test func `CSV gives every text back and bytes exactly`() {
    let rows = parseCSV(table(Self.nasty).rendered(as: .csv, on: .sample()))
    #expect(rows.first == ["Name", "uplinkBytes"])
    #expect(rows.dropFirst().map { $0[0] } == Self.nasty)
    #expect(rows.dropFirst().allSatisfy { $0[1] == "1234567" })
  }

  @Test func `JSON gives every text back and numbers as numbers`() throws {
    var table = table(Self.nasty)
    table.append([.missing, .number(.nan)])
    let text = table.rendered(as: .json, on: .sample())
    let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
    let objects = try #require(parsed)
    #expect(objects.dropLast().map { $0["Name"] as? String } == Self.nasty)
    #expect(objects[0]["uplinkBytes"] as? Int == 1_234_567)
    #expect(objects.last?["Name"] is NSNull)
    #expect(objects.last?["uplinkBytes"] is NSNull)
  }

  @Test func `an empty table is valid in every format`() throws {
    let text = table([]).rendered(as: .json, on: .sample())
    #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String] == [])
    #expect(table([]).csv == "Name,uplinkBytes\r\n")
    #expect(table([]).rendered(as: .terminal, on: .sample()).contains("Uplink"))
  }

  @Test func `no text can end a Markdown cell or row`() {
    let lines = table(Self.nasty).markdown.split(separator: "\n")
    #expect(lines.count == Self.nasty.count + 2)
    for line in lines {
      // A bar counts unless an odd number of backslashes stands before it.
      let bars = line.matches(of: #/(?:^|[^\\])(?:\\\\)*\|/#).count
      #expect(bars == 3)
    }
    #expect(lines[1].hasSuffix("-: |"))
  }

  /// A reader of RFC 4180 that is independent of the writer.
  private func parseCSV(_ text: String) -> [[String]] {
    var (rows, row, field, quoted) = ([[String]](), [String](), String.UnicodeScalarView(), false)
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
      switch (scalars[index], quoted) {
      case ("\"", true):
        if index + 1 < scalars.count, scalars[index + 1] == "\"" {
          field.append("\"")
          index += 1
        } else {
          quoted = false
        }
      case ("\"", false): quoted = true
      case (",", false):
        row.append(String(field))
        field = .init()
      case ("\r", false):
        rows.append(row + [String(field)])
        (row, field) = ([], .init())
        index += 1
      default: field.append(scalars[index])
      }
      index += 1
    }
    return rows
  }
}

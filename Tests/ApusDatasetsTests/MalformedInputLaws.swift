import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite struct MalformedInputLaws {
  /// A few random bytes of a good file replaced, removed or doubled.
  private func mutated(_ text: String, seed: UInt64) -> [UInt8] {
    var random = RandomStream(seed: seed).substream("mutation")
    var bytes = Array(text.utf8)
    for _ in 0...random.integer(below: 6) {
      let place = random.integer(below: bytes.count)
      switch random.integer(below: 4) {
      case 0: bytes[place] = UInt8(random.integer(below: 256))
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(contentsOf: bytes[place...].prefix(9), at: place)
      default: bytes[place] = Array("\"\n\r,{}[]:\\\t".utf8)[random.integer(below: 11)]
      }
    }
    return bytes
  }

  private func expectReport(_ error: any Error, file: String) throws {
    let error = try #require(error as? ApusError)
    let place = try #require(error.location.range(of: file + ":"), "\(error)")
    #expect(Int(error.location[place.upperBound...].prefix { $0.isNumber }) != nil, "\(error)")
  }

  @Test(arguments: 0..<200)
  func `mutated JSONL is read or answered with file and line`(seed: UInt64) throws {
    let rows = (0..<5).map { #"{"text": "row é \#($0)", "label": \#($0 % 2), "who": "c"}"# }
    let bytes = mutated(rows.joined(separator: "\n"), seed: seed)
    try withFile("m.jsonl", bytes) { url in
      let columns = ColumnSelection(label: "label", client: "who")
      do { _ = try JSONLines.load([url], columns: columns) } catch {
        try expectReport(error, file: "m.jsonl")
      }
      let kept = try? JSONLines.load([url], columns: columns, badRows: .skip(reports: 3))
      #expect((kept?.skipped.reports.count ?? 0) <= 3)
    }
  }

  @Test(arguments: 0..<200)
  func `mutated CSV is read or answered with file and line`(seed: UInt64) throws {
    let rows = (0..<5).map { "\"row é, \"\"\($0)\"\"\n\",\($0 % 2),c" }
    let bytes = mutated("text,label,who\n" + rows.joined(separator: "\n"), seed: seed)
    try withFile("m.csv", bytes) { url in
      let columns = ColumnSelection(label: "label", client: "who")
      do { _ = try DelimitedTable.load([url], format: .csv, columns: columns) } catch {
        try expectReport(error, file: "m.csv")
      }
      let kept = try? DelimitedTable.load(
        [url], format: .csv, columns: columns, badRows: .skip(reports: 3))
      #expect((kept?.skipped.reports.count ?? 0) <= 3)
    }
  }

  @Test(arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80]])
  func `invalid UTF-8 is named by file and line`(bad: [UInt8]) throws {
    let json = Array(#"{"text": "a"}"#.utf8) + [0x0A] + Array(#"{"text": ""#.utf8) + bad
    let jsonError = try failure {
      try withFile("u.jsonl", json + Array("\"}".utf8)) { url in
        try JSONLines.load([url], columns: ColumnSelection())
      }
    }
    #expect(jsonError.description.contains("u.jsonl:2: the line is not valid UTF-8"))
    let csvError = try failure {
      try withFile("u.csv", Array("text\na\n".utf8) + bad) { url in
        try DelimitedTable.load([url], format: .csv, columns: ColumnSelection())
      }
    }
    #expect(csvError.description.contains("u.csv:3: the row is not valid UTF-8"))
  }
}

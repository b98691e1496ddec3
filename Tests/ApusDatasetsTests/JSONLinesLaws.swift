import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite struct JSONLinesLaws {
  private func load(
    _ text: String, _ columns: ColumnSelection, labelNames: [String]? = nil,
    badRows: BadRowPolicy = .fail
  ) throws -> Dataset {
    try withFile("rows.jsonl", text.utf8) { url in
      try JSONLines.load([url], columns: columns, labelNames: labelNames, badRows: badRows)
    }
  }

  @Test func `chosen fields become the example`() throws {
    let data = try load(
      """
      {"premise": "It rains.", "hypothesis": "It is wet.", "gold": 1, "name": "yes", "who": 7}

      {"premise": "Ünï😀", "hypothesis": null, "gold": 0, "name": "no", "who": "b"}\r
      """,
      ColumnSelection(
        text: "premise", pair: "hypothesis", label: "gold", labelText: "name", client: "who"))
    #expect(data.examples.map(\.text) == ["It rains.", "Ünï😀"])
    #expect(data.examples.map(\.pair) == ["It is wet.", nil])
    #expect(data.examples.map(\.label) == [1, 0])
    #expect(data.examples.map(\.client) == ["7", "b"])
    #expect(data.examples.map(\.source.line) == [1, 3])
    #expect(data.labelNames == ["no", "yes"])
  }

  @Test func `string labels are classes in sorted order`() throws {
    let rows = ["sport", "art", "sport", "law"].map { #"{"text": "x", "label": "\#($0)"}"# }
    let data = try load(rows.joined(separator: "\n"), ColumnSelection(label: "label"))
    #expect(data.labelNames == ["art", "law", "sport"])
    #expect(data.examples.map(\.label) == [2, 0, 2, 1])
  }

  @Test func `indices without names are named by their number`() throws {
    let rows = [2, 0].map { #"{"text": "x", "label": \#($0)}"# }
    let data = try load(rows.joined(separator: "\n"), ColumnSelection(label: "label"))
    #expect(data.labelNames == ["0", "1", "2"])
  }

  @Test func `known classes keep a test file in step with its training file`() throws {
    let columns = ColumnSelection(label: "label")
    let data = try load(
      #"{"text": "x", "label": "law"}"#, columns, labelNames: ["art", "law", "sport"])
    #expect(data.examples.map(\.label) == [1])
    let error = try failure {
      try load(#"{"text": "x", "label": "sprot"}"#, columns, labelNames: ["art", "law", "sport"])
    }
    #expect(error.description.contains("rows.jsonl:1: label \"sprot\""))
    #expect(error.description.contains("Did you mean \"sport\"?"))
  }

  @Test(arguments: [
    (#"{"text": "x", "label": 1"#, "not valid JSON"),
    (#"["x"]"#, "expected an object"),
    (#"{"txt": "x", "label": 1}"#, "no field \"text\". Did you mean \"txt\"?"),
    (#"{"text": 5, "label": 1}"#, "text: expected a string, found a number"),
    (#"{"text": "x", "label": 1.5}"#, "label: expected a whole number"),
    (#"{"text": "x", "label": true}"#, "label: expected a whole number"),
    (#"{"text": "x", "label": null}"#, "label: expected a whole number"),
    (#"{"text": "x", "label": -1}"#, "class index -1"),
    (#"{"text": "x", "label": 123456789}"#, "class index 123456789"),
    (#"{"text": "x", "label": ""}"#, "the label is empty"),
    (#"{"text": "x", "label": "one"}"#, "this label is a string"),
    (#"{"text": "  ", "label": 1}"#, "the text is empty"),
    (#"{"text": "\ud800", "label": 1}"#, "not valid JSON"),
  ])
  func `a bad row is named by file and line`(row: String, problem: String) throws {
    let error = try failure {
      try load(#"{"text": "good", "label": 0}"# + "\n\n" + row, ColumnSelection(label: "label"))
    }
    #expect(error.code == .invalidData)
    #expect(error.description.contains("rows.jsonl:3"), "\(error)")
    #expect(error.description.contains(problem), "\(error)")
  }

  @Test func `a class with two names is an error`() throws {
    let error = try failure {
      try load(
        """
        {"text": "x", "label": 0, "name": "a"}
        {"text": "x", "label": 0, "name": "b"}
        """, ColumnSelection(label: "label", labelText: "name"))
    }
    #expect(error.description.contains("rows.jsonl:2: class 0 is called \"b\" here"))
  }

  @Test func `skipping keeps the good rows and reports the first bad ones`() throws {
    let rows = (0..<10).map { $0.isMultiple(of: 3) ? "{" : #"{"text": "row \#($0)"}"# }
    let data = try load(
      rows.joined(separator: "\n"), ColumnSelection(), badRows: .skip(reports: 2))
    #expect(data.count == 6)
    #expect(data.skipped.count == 4)
    #expect(data.skipped.reports.count == 2)
    #expect(data.skipped.reports[1].contains("rows.jsonl:4"))
  }

  @Test func `nothing to read is an error that names the file`() throws {
    let empty = try failure { try load("\n\n", ColumnSelection()) }
    #expect(empty.description.contains("rows.jsonl: the source holds no rows"))
    let folder = try failure {
      try JSONLines.load([FileManager.default.temporaryDirectory], columns: ColumnSelection())
    }
    #expect(folder.code == .fileAccess)
    #expect(folder.problem.contains("folder"))
    let missing = try failure {
      try JSONLines.load([URL(fileURLWithPath: "/nowhere/a.jsonl")], columns: ColumnSelection())
    }
    #expect(missing.description.contains("/nowhere/a.jsonl: there is no such file"))
  }

  @Test func `a line beyond the limit is reported and not kept`() throws {
    let long = #"{"text": ""# + String(repeating: "x", count: 17 << 20) + "\"}\n"
    let data = try load(
      long + #"{"text": "good"}"#, ColumnSelection(), badRows: .skip(reports: 1))
    #expect(data.examples.map(\.text) == ["good"])
    #expect(data.skipped.reports.first?.contains("rows.jsonl:1: the line is longer") == true)
  }

  @Test func `several files are one data set with places in each`() throws {
    try withFile("a.jsonl", #"{"text": "1"}"#.utf8) { a in
      try withFile("b.jsonl", "\u{FEFF}{\"text\": \"2\"}".utf8) { b in
        let data = try JSONLines.load([a, b], columns: ColumnSelection())
        #expect(data.examples.map(\.text) == ["1", "2"])
        #expect(data.examples[1].source.description.hasSuffix("b.jsonl:1"))
      }
    }
  }
}

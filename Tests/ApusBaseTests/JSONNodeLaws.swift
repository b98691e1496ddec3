import ApusBase
import Foundation
import Testing

private func parsed(_ json: String) throws(ApusError) -> JSONNode {
  try JSONNode(parsing: Data(json.utf8), file: "config.json")
}

@Suite struct JSONNodeLaws {
  @Test func `values are read as what they are`() throws {
    let node = try parsed(
      #"{"n": 3, "x": 0.5, "t": true, "one": 1, "s": "ü", "a": [1, "b"], "o": {"k": null}}"#)
    #expect(try node["n"].int() == 3)
    #expect(try node["n"].double() == 3)
    #expect(try node["x"].double() == 0.5)
    #expect(try node["t"].bool())
    #expect(try node["s"].string() == "ü")
    #expect(try node["a"].array()[1].string() == "b")
    #expect(try node.dictionary().count == 7)
    #expect(!node["o"]["k"].exists)
    #expect(!node["absent"]["below"].exists)
  }

  @Test func `numbers and truth values are not taken for each other`() throws {
    let node = try parsed(#"{"t": true, "one": 1, "zero": 0, "s": "1"}"#)
    #expect(throws: ApusError.self) { try node["t"].int() }
    #expect(throws: ApusError.self) { try node["t"].double() }
    #expect(throws: ApusError.self) { try node["one"].bool() }
    #expect(throws: ApusError.self) { try node["zero"].bool() }
    #expect(throws: ApusError.self) { try node["s"].int() }
  }

  @Test func `an error names file and path, and both kinds`() throws {
    let node = try parsed(#"{"model": {"layers": [{"size": 1.5}, {"size": "large"}]}}"#)
    let layers = try node["model"]["layers"].array()
    let fraction = #expect(throws: ApusError.self) { try layers[0]["size"].int() }
    #expect(fraction?.location == "config.json, model.layers[0].size")
    let text = #expect(throws: ApusError.self) { try layers[1]["size"].int() }
    #expect(text?.location == "config.json, model.layers[1].size")
    #expect(text?.problem == "expected a whole number, found a string")
    let absent = #expect(throws: ApusError.self) { try node["model"]["vocab"].dictionary() }
    #expect(absent?.problem == "expected an object, found nothing")
    for error in [fraction, text, absent] { #expect(error?.code == .invalidFile) }
  }

  @Test(arguments: ["", "{", "{]", "nul", "{\"a\":1,}x", "\u{0}"])
  func `what is not JSON is refused with the file's name`(json: String) {
    let error = #expect(throws: ApusError.self) { try parsed(json) }
    #expect(error?.code == .invalidFile)
    #expect(error?.location == "config.json")
  }

  @Test func `a file that is not there is refused with its path`() {
    let error = #expect(throws: ApusError.self) {
      try JSONNode(contentsOf: URL(filePath: "/nowhere/config.json"))
    }
    #expect(error?.code == .fileAccess)
    #expect(error?.location == "/nowhere/config.json")
  }
}

@Suite struct ApusErrorLaws {
  @Test func `an error is one sentence of where and what, and one of the remedy`() {
    let error = ApusError(.invalidData, at: "line 3", "no label", remedy: "Add one")
    #expect(error.description == "line 3: no label. Add one.")
    let outer = error.located(in: "data.csv")
    #expect(outer.description == "data.csv, line 3: no label. Add one.")
    #expect(outer.code == .invalidData)
  }
}

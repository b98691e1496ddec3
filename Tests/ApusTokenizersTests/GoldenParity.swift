import ApusTokenizers
import Foundation
import Testing

/// What make_wordpiece.py and make_subword.py stored of the library's results, one folder per
/// option of the pipeline.
@Suite struct GoldenParity {
  static let cases = ["wordpiece", "subword"].flatMap { family in
    let folder = Places.fixtures.appending(path: family)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().map { "\(family)/\($0)" }
  }

  @Test func `there is a golden case for every option`() {
    #expect(Self.cases.count >= 58)
  }

  @Test(arguments: cases)
  func `results equal those of the library`(name: String) throws {
    let folder = Places.fixtures.appending(path: name)
    let tokenizer = try Tokenizer(contentsOf: folder)
    for line in try JSONLines.read(folder.appending(path: "expected.jsonl")) {
      let line = try #require(line as? [String: Any])
      let request = try #require(line["request"] as? [String: Any])
      let answer = try #require(line["answer"])
      if let ids = request["decode"] as? [Int] {
        let text = tokenizer.decode(ids, skipSpecialTokens: request["skip"] as? Bool ?? true)
        #expect(Array(text.utf8) == (answer as? String).map { Array($0.utf8) }, "\(ids)")
      } else if let batch = request["batch"] as? [String] {
        let encodings = try tokenizer.encode(batch: batch)
        for (encoding, answer) in zip(encodings, try #require(answer as? [Any])) {
          #expect(encoding.difference(from: answer) == nil)
        }
      } else {
        try check(tokenizer, request, answer)
      }
    }
  }

  private func check(_ tokenizer: Tokenizer, _ request: [String: Any], _ answer: Any) throws {
    let text = try #require(request["encode"] as? String)
    let pair = request["pair"] as? String
    let special = request["special"] as? Bool ?? true
    if (answer as? [String: Any])?["error"] != nil {
      #expect(throws: (any Error).self) {
        try tokenizer.encode(text, pair: pair, addSpecialTokens: special)
      }
    } else {
      let encoding = try tokenizer.encode(text, pair: pair, addSpecialTokens: special)
      #expect(encoding.difference(from: answer) == nil, "\(text.debugDescription), \(pair ?? "")")
    }
  }
}

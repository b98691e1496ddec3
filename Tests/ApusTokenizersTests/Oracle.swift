import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

/// The Python library `tokenizers`.
extension Oracle {
  static let absence: Comment = "needs Python tokenizers in .venv-oracle"

  /// The library's answers to `requests`, in the format of oracle.py.
  ///
  /// - Parameters:
  ///   - requests: What the library is to do.
  ///   - tokenizer: The tokenizer.json to do it with.
  ///   - whole: Whether the truncation and padding of the file are left out.
  /// - Returns: One answer per request.
  /// - Throws: If the script fails.
  static func answers(
    _ requests: [[String: Any]], tokenizer: URL, whole: Bool = false
  ) throws -> [Any] {
    try withTemporaryFolder { folder in
      let (input, output) = (folder.appending(path: "requests"), folder.appending(path: "answers"))
      try JSONLines.write(requests, to: input)
      try run(
        [Places.fixtures.appending(path: "oracle.py"), tokenizer, input, output].map(\.path)
          + (whole ? ["whole"] : []))
      let answers = try JSONLines.read(output)
      try #require(answers.count == requests.count)
      return answers
    }
  }

  /// Calls `body` with the tokenizer.json of a folder, or, where it has none, with what the library
  /// converts it to.
  static func withTokenizerFile<Result>(
    of folder: URL, _ body: (URL) throws -> Result
  ) throws -> Result {
    let file = folder.appending(path: "tokenizer.json")
    if Places.exists(file) { return try body(file) }
    return try withTemporaryFolder { place in
      let converted = place.appending(path: "tokenizer.json")
      try run([Places.fixtures.appending(path: "convert.py"), folder, converted].map(\.path))
      return try body(converted)
    }
  }
}

extension Encoding {
  /// What differs between this encoding and one of the library's, or nil.
  func difference(from answer: Any) -> String? {
    guard let answer = answer as? [String: Any], answer["error"] == nil else {
      return "the library refuses the text"
    }
    let arrays: [(String, [Int])] = [
      ("ids", ids), ("type_ids", typeIDs), ("attention_mask", attentionMask),
      ("special_tokens_mask", specialTokensMask),
    ]
    for (name, mine) in arrays {
      // The stored answers of BPE and Unigram have no masks.
      if answer[name] == nil, name.hasSuffix("mask") { continue }
      guard answer[name] as? [Int] == mine else {
        return "\(name): Apus \(mine), library \(answer[name] ?? "nothing")"
      }
    }
    let theirs = answer["offsets"] as? [[Int]]
    guard theirs == offsets.map({ [$0.lowerBound, $0.upperBound] }) else {
      return "offsets: Apus \(offsets), library \(theirs ?? [])"
    }
    guard let names = answer["tokens"] as? [String] else { return nil }
    guard names.map({ Array($0.utf8) }) == tokens.map({ Array($0.utf8) }) else {
      return "tokens: Apus \(tokens), library \(names)"
    }
    return nil
  }
}

import ApusTokenizers
import Foundation
import Testing

/// The Python library `tokenizers`, if the environment of the oracles is installed.
enum Oracle {
  static let python = Places.package.appending(path: ".venv-oracle/bin/python")

  static let isInstalled = Places.exists(python)

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
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "apus-oracle-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (input, output) = (folder.appending(path: "requests"), folder.appending(path: "answers"))
    try JSONLines.write(requests, to: input)
    try run("oracle.py", [tokenizer.path, input.path, output.path] + (whole ? ["whole"] : []))
    let answers = try JSONLines.read(output)
    try #require(answers.count == requests.count)
    return answers
  }

  /// The tokenizer.json of a folder, or, where it has none, what the library converts it to.
  static func tokenizerFile(of folder: URL) throws -> URL {
    let file = folder.appending(path: "tokenizer.json")
    if Places.exists(file) { return file }
    let converted = FileManager.default.temporaryDirectory.appending(
      path: "apus-converted-\(folder.lastPathComponent)-\(UUID().uuidString).json")
    try run("convert.py", [folder.path, converted.path])
    return converted
  }

  private static func run(_ script: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = python
    process.arguments = [Places.fixtures.appending(path: script).path] + arguments
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(script) failed")
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

import ApusBase
import Foundation

/// The tokenizer_config.json beside a vocabulary, for files that say less than a tokenizer.json.
struct TokenizerConfig {
  let node: JSONNode

  /// Reads the file in the folder of `url`; without one, every field is absent.
  init(beside url: URL) throws(ApusError) {
    let file = url.deletingLastPathComponent().appendingPathComponent("tokenizer_config.json")
    guard FileManager.default.fileExists(atPath: file.path) else {
      node = try JSONNode(parsing: Data("{}".utf8), file: file.path)
      return
    }
    node = try JSONNode(contentsOf: file)
  }

  func flag(_ key: String) throws(ApusError) -> Bool? {
    node[key].exists ? try node[key].bool() : nil
  }

  /// The content of a special token, which may be written as text or as an object.
  func token(_ key: String) throws(ApusError) -> String? {
    let field = node[key]["content"].exists ? node[key]["content"] : node[key]
    return field.exists ? try field.string() : nil
  }

  /// The kind of tokenizer, without the words that all kinds share; nil if the file has none.
  func kind() throws(ApusError) -> String? {
    guard node["tokenizer_class"].exists else { return nil }
    let name = try node["tokenizer_class"].string()
    return name.replacingOccurrences(of: "Tokenizer", with: "")
      .replacingOccurrences(of: "Fast", with: "")
  }

  /// That files of this kind say too little without a tokenizer.json.
  func unsupported(_ kind: String, known: [String]) -> ApusError {
    ApusError(
      .unsupported, at: node["tokenizer_class"].place,
      "\(kind) cannot be read without a tokenizer.json",
      remedy: "Save one with Hugging Face tokenizers, or use \(known.joined(separator: ", "))")
  }
}

/// A file of a checkpoint, read whole.
enum CheckpointFile {
  static func bytes(of url: URL) throws(ApusError) -> Data {
    do { return try Data(contentsOf: url) } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the file cannot be read",
        remedy: "Check that it exists and that you may read it", cause: error)
    }
  }

  /// The lines of a text; a line feed at its end begins no line.
  static func lines(of url: URL) throws(ApusError) -> [Substring.UnicodeScalarView] {
    guard let text = String(data: try bytes(of: url), encoding: .utf8) else {
      throw ApusError(
        .invalidFile, at: url.path, "this is not UTF-8 text",
        remedy: "Restore the file from its source")
    }
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { Substring($0).unicodeScalars }
  }
}

import ApusBase
import Foundation

extension Tokenizer {
  /// Builds BERT's tokenizer from a vocab.txt, one token per line, for checkpoints without
  /// tokenizer.json.
  ///
  /// The tokenizer_config.json beside it, if there is one, says how text is cleaned and what the
  /// special tokens are called; its defaults are those of BERT uncased.
  init(vocabularyFile url: URL) throws(ApusError) {
    let config = try Self.config(beside: url)
    func flag(_ key: String) throws(ApusError) -> Bool? {
      config[key].exists ? try config[key].bool() : nil
    }
    func name(_ key: String, _ standard: String) throws(ApusError) -> String {
      let node = config[key]["content"].exists ? config[key]["content"] : config[key]
      return node.exists ? try node.string() : standard
    }
    let vocabulary = try Vocabulary(Self.lines(of: url), at: url.path)
    func special(_ token: String) throws(ApusError) -> BertProcessing.Special {
      guard let id = vocabulary.id(of: token) else {
        throw ApusError(
          .invalidFile, at: url.path, "there is no special token \"\(token)\"",
          remedy: "Take vocab.txt and tokenizer_config.json from the same checkpoint")
      }
      return (token, id)
    }
    let unknown = try name("unk_token", "[UNK]")
    let classification = try special(try name("cls_token", "[CLS]"))
    let separator = try special(try name("sep_token", "[SEP]"))
    let others = [unknown, try name("pad_token", "[PAD]"), try name("mask_token", "[MASK]")]
    var specials = [classification, separator]
    for token in others { specials.append(try special(token)) }
    let normalizer = BertNormalizer(
      cleansText: true, isolatesChinese: try flag("tokenize_chinese_chars") ?? true,
      stripsAccents: try flag("strip_accents"), lowercases: try flag("do_lower_case") ?? true)
    self.init(
      truncation: nil, padding: nil,
      model: try WordPiece(
        vocabulary: vocabulary, unknownToken: unknown, prefix: "##", maxWordLength: 100,
        at: url.path),
      normalizer: normalizer, preTokenizer: BertPreTokenizer(),
      postProcessor: BertProcessing(classification: classification, separator: separator),
      decoder: WordPieceDecoder(prefix: "##", cleansUp: true),
      added: try AddedTokens(
        specials.map { (AddedToken(special: $0.token), $0.id, url.path) },
        vocabulary: vocabulary, normalizer: normalizer))
  }

  private static func config(beside url: URL) throws(ApusError) -> JSONNode {
    let file = url.deletingLastPathComponent().appendingPathComponent("tokenizer_config.json")
    guard FileManager.default.fileExists(atPath: file.path) else {
      return try JSONNode(parsing: Data("{}".utf8), file: file.path)
    }
    return try JSONNode(contentsOf: file)
  }

  /// The lines without white space at their ends; the number of a line, from 0, is the token's id.
  private static func lines(of url: URL) throws(ApusError) -> [(token: String, id: Int)] {
    let data: Data
    do { data = try Data(contentsOf: url) } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the file cannot be read",
        remedy: "Check that it exists and that you may read it", cause: error)
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw ApusError(
        .invalidFile, at: url.path, "this is not UTF-8 text",
        remedy: "Restore the file from its source")
    }
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.enumerated().map { id, line in
      let end = line.lastIndex { !$0.has(.whitespace) }.map { line.index(after: $0) }
      return (String(line[..<(end ?? line.startIndex)]), id)
    }
  }
}

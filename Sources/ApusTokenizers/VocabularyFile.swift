import ApusBase
import Foundation

extension Tokenizer {
  /// Builds BERT's tokenizer from a vocab.txt, one token per line, for checkpoints without
  /// tokenizer.json.
  ///
  /// The tokenizer_config.json beside it, if there is one, says how text is cleaned and what the
  /// special tokens are called; its defaults are those of BERT uncased.
  init(vocabularyFile url: URL) throws(ApusError) {
    let config = try TokenizerConfig(beside: url)
    func name(_ key: String, _ standard: String) throws(ApusError) -> String {
      try config.token(key) ?? standard
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
      cleansText: true, isolatesChinese: try config.flag("tokenize_chinese_chars") ?? true,
      stripsAccents: try config.flag("strip_accents"),
      lowercases: try config.flag("do_lower_case") ?? true)
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

  /// The lines without white space at their ends; the number of a line, from 0, is the token's id.
  private static func lines(of url: URL) throws(ApusError) -> [(token: String, id: Int)] {
    try CheckpointFile.lines(of: url).enumerated().map { id, line in
      let end = line.lastIndex { !$0.has(.whitespace) }.map { line.index(after: $0) }
      return (String(line[..<(end ?? line.startIndex)]), id)
    }
  }
}

import ApusBase
import Foundation

extension Tokenizer {
  /// Builds a byte-level BPE tokenizer from a vocab.json and the merges.txt beside it, for
  /// checkpoints without tokenizer.json.
  ///
  /// The tokenizer_config.json beside them, if there is one, tells GPT-2's form from RoBERTa's.
  init(mergesFile url: URL) throws(ApusError) {
    let config = try TokenizerConfig(beside: url)
    let folder = url.deletingLastPathComponent()
    let vocabularyFile = folder.appendingPathComponent("vocab.json")
    let data = try CheckpointFile.bytes(of: vocabularyFile)
    _ = try JSONNode(parsing: data, file: vocabularyFile.path)
    let vocabulary = try Vocabulary(
      VocabularyScanner.entries(at: [], of: data, file: vocabularyFile.path),
      at: vocabularyFile.path)
    let kind = try config.kind() ?? "GPT2"
    guard ["GPT2", "Roberta"].contains(kind) else {
      throw config.unsupported(kind, known: ["GPT2Tokenizer", "RobertaTokenizer"])
    }
    let isRoberta = kind == "Roberta"
    let addsSpace = try config.flag("add_prefix_space") ?? false
    var specials: [BertProcessing.Special] = []
    for key in ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token"]
      + ["mask_token"]
    {
      let standard = isRoberta ? Self.robertaTokens[key] : Self.gpt2Tokens[key]
      guard let token = try config.token(key) ?? standard else { continue }
      guard let id = vocabulary.id(of: token) else {
        throw ApusError(
          .invalidFile, at: vocabularyFile.path, "there is no special token \"\(token)\"",
          remedy: "Take vocab.json and tokenizer_config.json from the same checkpoint")
      }
      if !specials.contains(where: { $0.id == id }) { specials.append((token, id)) }
    }
    func special(_ key: String) throws(ApusError) -> BertProcessing.Special {
      let token = try config.token(key) ?? Self.robertaTokens[key] ?? ""
      return (token, vocabulary.id(of: token) ?? 0)
    }
    let processor: any PostProcessor =
      isRoberta
      ? RobertaProcessing(
        classification: try special("cls_token"), separator: try special("sep_token"),
        hasPrefixSpace: addsSpace) : PlainJoin()
    var options = BPE.Options()
    options.unknownToken = nil
    self.init(
      truncation: nil, padding: nil,
      model: try BPE(
        vocabulary: vocabulary, merges: try Self.merges(of: url), options: options, at: url.path),
      normalizer: nil, preTokenizer: try ByteLevel(addsPrefixSpace: addsSpace),
      postProcessor: processor, decoder: ByteLevelDecoder(),
      added: try AddedTokens(
        specials.map { (AddedToken(special: $0.token), $0.id, vocabularyFile.path) },
        vocabulary: vocabulary, normalizer: nil))
  }

  private static let gpt2Tokens = ["eos_token": "<|endoftext|>"]
  private static let robertaTokens = [
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
    "sep_token": "</s>", "cls_token": "<s>", "mask_token": "<mask>",
  ]

  private static func merges(of url: URL) throws(ApusError) -> [(left: String, right: String)] {
    var merges: [(left: String, right: String)] = []
    for (index, line) in try CheckpointFile.lines(of: url).enumerated() {
      let text = String(line)
      if text.isEmpty || text.utf8.starts(with: "#version".utf8) { continue }
      merges.append(try BPE.pair(text, at: "\(url.path):\(index + 1)"))
    }
    return merges
  }
}

import ApusBase
import Foundation

extension Tokenizer {
  /// Builds a tokenizer from a sentencepiece `.model` file, for checkpoints without tokenizer.json.
  ///
  /// A BPE model becomes what Hugging Face makes of LLaMA 2's: byte fallback, and `<s>` in front. A
  /// Unigram model gets no special tokens, or, where the tokenizer_config.json beside it says that
  /// it is T5's, `</s>` at the end.
  init(sentencePieceFile url: URL) throws(ApusError) {
    let config = try TokenizerConfig(beside: url)
    let model = try SentencePieceModel(
      [UInt8](try CheckpointFile.bytes(of: url)), at: url.path)
    let kind = try config.kind()
    let known = model.algorithm == .bpe ? ["Llama"] : ["T5"]
    if let kind, !known.contains(kind) {
      throw config.unsupported(kind, known: ["LlamaTokenizer", "T5Tokenizer"])
    }
    switch model.algorithm {
    case .bpe: try self.init(bpe: model, config: config, file: url.path)
    case .unigram: try self.init(unigram: model, endsText: kind == "T5", file: url.path)
    case .word, .character:
      throw ApusError(
        .unsupported, at: "\(url.path), trainer_spec.model_type",
        "Apus reads BPE and Unigram models, this is by \(model.algorithm)",
        remedy: "Use another tokenizer")
    }
  }

  private init(
    bpe model: SentencePieceModel, config: TokenizerConfig, file: String
  ) throws(ApusError) {
    let vocabulary = try Vocabulary(
      model.pieces.enumerated().map { ($1.text, $0) }, at: "\(file), pieces")
    let begins = try config.flag("add_bos_token") ?? true
    let ends = try config.flag("add_eos_token") ?? false
    let begin = try Self.special(try config.token("bos_token") ?? "<s>", of: vocabulary, file)
    let end = try Self.special(try config.token("eos_token") ?? "</s>", of: vocabulary, file)
    var options = BPE.Options()
    options.unknownToken = model.pieces.first { $0.kind == .unknown }?.text
    options.fusesUnknown = true
    options.fallsBackToBytes = model.fallsBackToBytes
    let space = TextPattern.string([" "])
    var steps: [any Normalizer] = []
    if !model.charsmap.isEmpty {
      steps.append(try Precompiled(model.charsmap, at: "\(file), normalizer_spec"))
    }
    if model.addsPrefix { steps.append(Prepend("\u{2581}")) }
    steps.append(Replace(pattern: space, content: "\u{2581}"))
    let normalizer = NormalizerSequence(steps)
    var decoders: [any TokenDecoder] = [
      ReplaceDecoder(pattern: .string(["\u{2581}"]), content: " "), ByteFallback(), FuseDecoder(),
    ]
    if model.addsPrefix { decoders.append(StripDecoder(content: " ", start: 1, stop: 0)) }
    self.init(
      truncation: nil, padding: nil,
      model: try BPE(
        vocabulary: vocabulary, merges: Self.merges(of: model, vocabulary), options: options,
        at: file),
      normalizer: normalizer, preTokenizer: nil,
      postProcessor: TemplateProcessing(begin: begins ? begin : nil, end: ends ? end : nil),
      decoder: DecoderSequence(decoders),
      added: try Self.added(
        model, [.unknown, .control, .userDefined], vocabulary, normalizer, file)
    )
  }

  private init(unigram model: SentencePieceModel, endsText: Bool, file: String) throws(ApusError) {
    guard let unknown = model.pieces.firstIndex(where: { $0.kind == .unknown }) else {
      throw ApusError(
        .invalidFile, at: "\(file), pieces", "there is no unknown piece",
        remedy: "Restore the file from its source")
    }
    let unigram = try Unigram(
      model.pieces.map { ($0.text, Double($0.score)) }, unknown: unknown,
      fallsBackToBytes: model.fallsBackToBytes, at: file)
    var steps: [any Normalizer] = []
    if !model.charsmap.isEmpty {
      steps.append(try Precompiled(model.charsmap, at: "\(file), normalizer_spec"))
    }
    if model.removesExtraSpaces {
      let spaces = try PatternProgram(" {2,}", at: file)
      steps.append(Strip(left: false, right: true))
      steps.append(Replace(pattern: .expression(spaces), content: "\u{2581}"))
    }
    let metaspace = Metaspace(
      replacement: "\u{2581}", prepending: model.addsPrefix ? .always : .never, splits: true)
    let normalizer = NormalizerSequence(steps)
    let end = endsText ? try Self.special("</s>", of: unigram.vocabulary, file) : nil
    self.init(
      truncation: nil, padding: nil, model: unigram, normalizer: normalizer,
      preTokenizer: metaspace, postProcessor: TemplateProcessing(begin: nil, end: end),
      decoder: MetaspaceDecoder(metaspace: metaspace),
      added: try Self.added(
        model, [.control, .userDefined], unigram.vocabulary, normalizer, file))
  }

  private static func special(
    _ token: String, of vocabulary: Vocabulary, _ file: String
  ) throws(ApusError) -> BertProcessing.Special {
    guard let id = vocabulary.id(of: token) else {
      throw ApusError(
        .invalidFile, at: "\(file), pieces", "there is no special token \"\(token)\"",
        remedy: "Take the model and tokenizer_config.json from the same checkpoint")
    }
    return (token, id)
  }

  private static func added(
    _ model: SentencePieceModel, _ kinds: Set<SentencePieceModel.Kind>, _ vocabulary: Vocabulary,
    _ normalizer: any Normalizer, _ file: String
  ) throws(ApusError) -> AddedTokens {
    var declarations: [AddedTokens.Declaration] = []
    for (id, piece) in model.pieces.enumerated() where kinds.contains(piece.kind) {
      let token = AddedToken(
        content: piece.text, isSpecial: piece.kind != .userDefined, isNormalized: false,
        isSingleWord: false, stripsLeft: false, stripsRight: false)
      declarations.append((token, id, "\(file), pieces[\(id)]"))
    }
    return try AddedTokens(declarations, vocabulary: vocabulary, normalizer: normalizer)
  }

  /// All ways to make a piece of two others, the most probable piece first.
  ///
  /// - Source: Hugging Face transformers, `generate_merges`.
  private static func merges(
    of model: SentencePieceModel, _ vocabulary: Vocabulary
  ) -> [(left: String, right: String)] {
    var merges: [(left: Int, right: Int, score: Float, lengths: (Int, Int))] = []
    for piece in model.pieces {
      let scalars = Array(piece.text.unicodeScalars)
      var parts: [(left: Int, right: Int, score: Float, lengths: (Int, Int))] = []
      for cut in scalars.indices.dropFirst() {
        guard let left = vocabulary.trie.value(of: scalars[..<cut]),
          let right = vocabulary.trie.value(of: scalars[cut...])
        else { continue }
        parts.append((left, right, piece.score, (cut, scalars.count - cut)))
      }
      merges += parts.sorted { ($0.left, $0.right) < ($1.left, $1.right) }
    }
    // The sort is stable, as Python's is.
    merges.sort { one, other in
      (one.score, one.lengths.0, one.lengths.1) > (other.score, other.lengths.0, other.lengths.1)
    }
    return merges.map { (vocabulary.tokens[$0.left], vocabulary.tokens[$0.right]) }
  }
}

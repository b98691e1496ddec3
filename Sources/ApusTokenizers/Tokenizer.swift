public import ApusBase

/// Turns text into the token ids of a pretrained model, and back, as its tokenizer.json prescribes.
///
/// The steps are those of the Hugging Face library `tokenizers`, and so are the results: added
/// tokens, normalizer, pre-tokenizer, model, truncation, post-processor, padding. Truncation and
/// padding written in the file hold, as they do in the library, unless the caller gives others.
public struct Tokenizer: Sendable {
  /// The truncation that the file prescribes.
  public let truncation: Truncation?
  /// The padding that the file prescribes.
  public let padding: Padding?

  let model: any TokenModel
  let normalizer: (any Normalizer)?
  let preTokenizer: (any PreTokenizer)?
  let postProcessor: any PostProcessor
  let decoder: any TokenDecoder
  let added: AddedTokens

  /// Tokens of one text, or of a pair, ready for the model.
  ///
  /// - Parameters:
  ///   - text: Any text, the empty one included.
  ///   - pair: The second text, for models that compare two.
  ///   - addSpecialTokens: Whether the post-processor adds its special tokens.
  ///   - truncation: Replaces the truncation of the file; ``Truncation/off`` for none.
  ///   - padding: Replaces the padding of the file; ``Padding/off`` for none.
  /// - Returns: The encoding.
  /// - Throws: ``ApusError`` `.invalidConfig` if the text cannot be cut or padded as asked.
  public func encode(
    _ text: String, pair: String? = nil, addSpecialTokens: Bool = true,
    truncation: Truncation? = nil, padding: Padding? = nil
  ) throws(ApusError) -> Encoding {
    var encodings = [
      try assemble(
        text, pair: pair, addSpecialTokens: addSpecialTokens,
        truncation: truncation ?? self.truncation ?? .off)
    ]
    try (padding ?? self.padding)?.pad(&encodings)
    return encodings[0]
  }

  /// Tokens of many texts, or pairs, padded together.
  ///
  /// - Parameters:
  ///   - texts: The first texts.
  ///   - pairs: The second texts, as many as there are first ones.
  ///   - addSpecialTokens: Whether the post-processor adds its special tokens.
  ///   - truncation: Replaces the truncation of the file; ``Truncation/off`` for none.
  ///   - padding: Replaces the padding of the file; ``Padding/off`` for none.
  /// - Returns: One encoding per text.
  /// - Throws: ``ApusError`` `.invalidConfig` if a text cannot be cut or padded as asked,
  ///   `.invalidData` if the numbers of texts differ.
  public func encode(
    batch texts: [String], pairs: [String]? = nil, addSpecialTokens: Bool = true,
    truncation: Truncation? = nil, padding: Padding? = nil
  ) throws(ApusError) -> [Encoding] {
    guard pairs == nil || pairs?.count == texts.count else {
      throw ApusError(
        .invalidData, at: "batch of \(texts.count) texts",
        "there are \(pairs?.count ?? 0) second texts", remedy: "Give each text its second one")
    }
    var encodings: [Encoding] = []
    encodings.reserveCapacity(texts.count)
    for (index, text) in texts.enumerated() {
      encodings.append(
        try assemble(
          text, pair: pairs?[index], addSpecialTokens: addSpecialTokens,
          truncation: truncation ?? self.truncation ?? .off))
    }
    try (padding ?? self.padding)?.pad(&encodings)
    return encodings
  }

  /// Lengthens encodings to one length, with this tokenizer's padding token.
  ///
  /// - Parameters:
  ///   - encodings: The batch.
  ///   - length: The length to reach.
  /// - Throws: ``ApusError`` `.invalidConfig` if there is no padding token or the length is beyond
  ///   ``Padding/lengthLimit``.
  public func pad(
    _ encodings: inout [Encoding], to length: Padding.Length
  ) throws(ApusError) {
    try padding(to: length).pad(&encodings)
  }

  /// The padding of the file, or else one with the token `[PAD]` or `<pad>`, to another length.
  ///
  /// - Parameter length: The length to reach.
  /// - Returns: Padding for ``encode(batch:pairs:addSpecialTokens:truncation:padding:)``.
  /// - Throws: ``ApusError`` `.invalidConfig` if there is no padding token.
  public func padding(to length: Padding.Length) throws(ApusError) -> Padding {
    if var padding {
      padding.length = length
      return padding
    }
    for token in ["[PAD]", "<pad>"] {
      if let id = id(of: token) { return Padding(to: length, id: id, token: token) }
    }
    throw ApusError(
      .invalidConfig, at: "padding", "the tokenizer has no token [PAD] or <pad>",
      remedy: "Name the padding token with Padding(to:id:token:)")
  }

  /// The text that ids stand for; ids that are none of this tokenizer's are left out.
  ///
  /// - Parameters:
  ///   - ids: Token ids.
  ///   - skipSpecialTokens: Whether special tokens are left out.
  /// - Returns: The text, which need not be the one that was encoded.
  public func decode(_ ids: some Sequence<Int>, skipSpecialTokens: Bool = true) -> String {
    let tokens = ids.compactMap { id -> String? in
      guard let (text, isSpecial) = added.decoded(id) else { return model.vocabulary.token(of: id) }
      return isSpecial && skipSpecialTokens ? nil : text
    }
    return decoder.decode(tokens).joined()
  }

  /// Number of tokens, added ones included; ids may have gaps.
  public var vocabularySize: Int {
    model.vocabulary.count + added.countBeyond(model.vocabulary)
  }

  /// The id of a token, nil if there is no such token.
  public func id(of token: String) -> Int? {
    added.id(of: token) ?? model.vocabulary.id(of: token)
  }

  /// The token with an id, nil if there is none.
  public func token(of id: Int) -> String? {
    added.decoded(id)?.text ?? model.vocabulary.token(of: id)
  }
}

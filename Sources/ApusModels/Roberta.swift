internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// RoBERTa and XLM-RoBERTa: BERT's blocks and keys, without pooler, with positions that are counted
/// from the padding token's number.
///
/// Both have `roberta` for a prefix and differ in vocabulary only. The table of positions begins with
/// `pad_token_id` + 1 rows that belong to no token, so that 514 rows serve 512 tokens.
///
/// - Shapes: T rows (tokens of all examples), B examples, D hidden size.
/// - Source: Liu et al., arXiv 1907.11692; Conneau et al., arXiv 1911.02116; transformers,
///   `models/roberta/modeling_roberta.py`.
final class Roberta: Module, TextEncoder {
  let embeddings: TextEmbeddings
  let encoder: PostNormEncoder
  private let config: EncoderConfig
  private let pad_token_id: Int

  /// A model without weights yet.
  init(_ config: JSONNode) throws(ApusError) {
    self.config = try EncoderConfig(config)
    pad_token_id = try Self.pad_token_id(config)
    embeddings = TextEmbeddings(self.config)
    encoder = PostNormEncoder(self.config)
  }

  static let architecture = makeArchitecture(
    modelType: "roberta", classPrefix: "Roberta", ia3: ["key", "value", "output.dense"])
  static let multilingual = makeArchitecture(modelType: "xlm-roberta", classPrefix: "XLMRoberta")

  private static func makeArchitecture(
    modelType: String, classPrefix: String, ia3: [String] = []
  ) -> ModelCatalog.Architecture {
    ModelCatalog.Architecture(
      modelType: modelType, prefix: "roberta", classPrefix: classPrefix, hasPooler: false,
      defaultTargets: ["query", "value"], ia3Targets: ia3,
      ia3FeedForward: ia3.suffix(1).map(\.self),
      unusedPositions: unusedPositions
    ) { (config, _) throws(ApusError) in
      try Roberta(config)
    } makeHead: { (config, size, labels) throws(ApusError) in
      let hidden = try config["hidden_dropout_prob"].probability(default: 0.1)
      let dropout = try config["classifier_dropout"].probability(default: hidden)
      return RobertaHead(size, labels, dropout: dropout)
    }
  }

  @Sendable private static func unusedPositions(_ config: JSONNode) -> Int {
    ((try? pad_token_id(config)) ?? 1) + 1
  }

  private static func pad_token_id(_ config: JSONNode) throws(ApusError) -> Int {
    try config["pad_token_id"].size(from: 0, upTo: 10_000_000, default: 1)
  }

  var hiddenSize: Int { config.hidden_size }

  func check(_ batch: TokenBatch) throws(ApusError) {
    try batch.requireFit(
      ids: config.vocab_size, types: config.type_vocab_size,
      positions: config.max_position_embeddings - pad_token_id - 1)
  }

  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    encoder(embeddings(batch, positions: positions(batch), pass), pass)
  }

  /// Rows in the table of positions [T]: tokens are counted from the padding's number + 1, and
  /// padding inside of a text has the padding's own row and is not counted.
  private func positions(_ batch: TokenBatch) -> Tensor {
    var positions: [Int] = []
    for ids in batch.examples {
      var last = pad_token_id
      for id in ids {
        if id != pad_token_id { last += 1 }
        positions.append(id == pad_token_id ? pad_token_id : last)
      }
    }
    return Tensor(positions, shape: [positions.count]).to(device: batch.ids.device)
  }
}

/// The head of RoBERTa's classifier: two layers on the first token.
final class RobertaHead: Module, SequenceHead {
  let classifier: RobertaClassificationHead
  let dropout: Dropout

  init(_ size: Int, _ labels: Int, dropout: Double) {
    classifier = RobertaClassificationHead(size, labels)
    self.dropout = Dropout(dropout)
  }

  var output: Linear { classifier.out_proj }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor {
    tanh(classifier.dense(dropout(pooled, pass, "pooled")))
  }
}

/// The layers below `classifier`.
final class RobertaClassificationHead: Module {
  let dense: Linear
  let out_proj: Linear

  init(_ size: Int, _ labels: Int) {
    dense = Linear(size, size)
    out_proj = Linear(size, labels)
  }
}

public import ApusBase
import ApusCore
public import ApusDatasets
public import ApusModels
public import ApusTokenizers
public import ApusTorch
public import Foundation

/// Another text beside a source, such as a summary or a translation.
public struct SequenceToSequenceTask: TextTask {
  /// How a model is trained and measured.
  public struct Options: Sendable {
    /// Share of a target that is spread evenly over the vocabulary in training.
    public var labelSmoothing = 0.0
    /// How texts are written for evaluation; nil to measure the loss alone.
    public var generation: GenerationOptions?

    public init() {}
  }

  /// The model that writes.
  public let model: SequenceToSequenceModel
  private let tokenizer: Tokenizer
  private let options: Options

  /// The task of this model, whose texts the tokenizer reads and spells.
  public init(_ model: SequenceToSequenceModel, tokenizer: Tokenizer, _ options: Options) {
    self.model = model
    self.tokenizer = tokenizer
    self.options = options
  }

  public var kind: TaskKind { .sequenceToSequence }

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor {
    model.loss(
      try batch(rows, positions), labelSmoothing: options.labelSmoothing, random: random)
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    let batch = try batch(rows, positions)
    var scores = LanguageScores()
    scores.add(logits: model.evaluatedLogits(batch), targets: batch.targets)
    guard let generation = options.generation else { return scores.sums }
    var texts = WritingScores()
    let written = try model.generate(positions.map { rows.ids[$0] }, generation)
    for (position, tokens) in zip(positions, written) {
      texts.add(tokenizer.decode(tokens), reference: rows.references[position].text)
    }
    return scores.sums.merging(texts.sums) { $0 + $1 }
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try model.write(to: folder, like: checkpoint)
  }

  private func batch(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> SequencePairBatch {
    try model.batch(positions.map { rows.ids[$0] }, positions.map { rows.targets[$0] })
  }
}

extension TokenizedRows {
  /// Tokenizes sources and what is to be written beside them, on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Texts, further texts that belong to the source, and responses.
  ///   - tokenizer: That of the checkpoint; its special tokens surround both sides.
  ///   - sourcePrefix: Put in front of every source, such as `summarize: `.
  ///   - targetStart: The token that every target begins with instead of its first special token,
  ///     such as the language of a translation; nil for as the tokenizer does.
  ///   - maxLength: Tokens of a source at most; longer ones are cut.
  ///   - maxTargetLength: The same for targets.
  /// - Throws: ``ApusError`` `.invalidData` for a row without a response, `.invalidConfig` for a
  ///   start token that the tokenizer does not have.
  public init(
    sources dataset: Dataset, tokenizer: Tokenizer, sourcePrefix: String, targetStart: String?,
    maxLength: Int, maxTargetLength: Int
  ) throws(ApusError) {
    var start: Int?
    if let targetStart {
      guard let id = tokenizer.id(of: targetStart) else {
        throw ApusError(
          .invalidConfig, at: "task.target-start", "the tokenizer has no token \"\(targetStart)\"",
          remedy: "Give one of its tokens, such as fr_XX")
      }
      start = id
    }
    let first = start
    self.init(
      try Self.concurrently(dataset.examples) { row throws(ApusError) in
        guard let response = row.response else {
          throw ApusError(
            .invalidData, at: row.source.description, "the row has no response",
            remedy: "Name the column of responses with data.columns.response")
        }
        let text = sourcePrefix + row.text + (row.pair.map { "\n\($0)" } ?? "")
        let source = try tokenizer.encode(
          text, truncation: Truncation(maxLength: maxLength), padding: .off)
        var target = try tokenizer.encode(
          response, truncation: Truncation(maxLength: maxTargetLength), padding: .off
        ).ids
        if let first, !target.isEmpty { target[0] = first }
        return TaskRow(
          ids: source.ids, target: target,
          reference: ReferenceText(context: [], offsets: [], text: response),
          isCut: source.count == maxLength)
      }, labels: dataset.examples.compactMap(\.label))
  }
}

/// Sums over written texts from which BLEU, ROUGE and exact matches follow; parts can be added.
struct WritingScores {
  private(set) var sums: [String: Double] = [:]
  private let rouge = ROUGE(usesStemmer: true)

  /// Compares one text with its reference.
  mutating func add(_ output: String, reference: String) {
    var parts = ["texts": 1.0, "exact": output == reference ? 1 : 0]
    for kind in ROUGE.Kind.allCases {
      parts[kind.rawValue] = rouge.score(output, reference: reference, kind).f1
    }
    var bleu = BLEU()
    bleu.add(output, references: [reference])
    for order in 0..<BLEU.maxOrder {
      parts["bleu-hits/\(order)"] = Double(bleu.hits[order])
      parts["bleu-totals/\(order)"] = Double(bleu.totals[order])
    }
    parts["bleu-output"] = Double(bleu.outputLength)
    parts["bleu-reference"] = Double(bleu.referenceLength)
    sums.merge(parts) { $0 + $1 }
  }

  /// Those of ``LanguageScores``, and of written texts if there are any: `bleu` in 0…100, `rouge1`,
  /// `rouge2`, `rougeL`, `rougeLsum` (F1 of stems) and `exact_match`.
  static func metrics(of sums: [String: Double]) -> Metrics {
    var metrics = LanguageScores(sums: sums).metrics
    guard let texts = sums["texts"], texts > 0 else { return metrics }
    for kind in ROUGE.Kind.allCases { metrics[kind.rawValue] = (sums[kind.rawValue] ?? 0) / texts }
    let counts = { (name: String) in
      (0..<BLEU.maxOrder).map { Int(sums["bleu-\(name)/\($0)"] ?? 0) }
    }
    metrics["exact_match"] = (sums["exact"] ?? 0) / texts
    metrics["bleu"] =
      BLEU(
        hits: counts("hits"), totals: counts("totals"),
        outputLength: Int(sums["bleu-output"] ?? 0),
        referenceLength: Int(sums["bleu-reference"] ?? 0)
      ).score
    return metrics
  }
}

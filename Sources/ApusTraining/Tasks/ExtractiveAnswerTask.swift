public import ApusBase
import ApusCore
public import ApusDatasets
public import ApusModels
public import ApusTokenizers
public import ApusTorch
public import Foundation

/// Where in a text the answer to a question stands: its first and its last token.
public struct ExtractiveAnswerTask: TextTask {
  /// The model that scores tokens.
  public let model: TokenScorer
  private let device: Device

  /// Tokens of an answer at most.
  private static let longestAnswer = 30

  /// The task of this model.
  public init(_ model: TokenScorer, device: Device) {
    self.model = model
    self.device = device
  }

  public var kind: TaskKind { .extractiveAnswer }

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor {
    let batch = try rows.batch(positions, device: device)
    return TokenScorer.answerLoss(
      model.scores(batch, random: random), answers: answers(rows, positions), batch.layout)
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    let batch = try rows.batch(positions, device: device)
    let scores = withoutGradient { model.scores(batch, random: nil) }
    let loss = TokenScorer.answerLoss(scores, answers: answers(rows, positions), batch.layout)
    var overlap = AnswerOverlap()
    let all = scores.floats
    var row = 0
    for position in positions {
      let (reference, count) = (rows.references[position], rows.ids[position].count)
      let own = (0..<count).map { (first: all[2 * (row + $0)], last: all[2 * (row + $0) + 1]) }
      overlap.add(Self.answer(own, reference), references: [reference.text])
      row += count
    }
    return [
      "count": Double(positions.count), "loss": loss.item * Double(positions.count),
      "exact": Double(overlap.exactCount), "f1": overlap.f1Sum,
    ]
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try model.write(to: folder, like: checkpoint)
  }

  private func answers(
    _ rows: TokenizedRows, _ positions: [Int]
  ) -> [(first: Int, last: Int)] {
    positions.map { (rows.targets[$0][0], rows.targets[$0][1]) }
  }

  /// The text between the first and the last token whose scores have the largest sum; "" without
  /// tokens of a context.
  static func answer(
    _ scores: [(first: Float, last: Float)], _ reference: ReferenceText
  ) -> String {
    var best: (sum: Float, range: Range<Int>)?
    for first in scores.indices {
      guard let start = reference.offsets[first]?.lowerBound else { continue }
      for last in first..<min(first + longestAnswer, scores.count) {
        guard let end = reference.offsets[last]?.upperBound, end >= start else { continue }
        let sum = scores[first].first + scores[last].last
        if sum > best?.sum ?? -.infinity { best = (sum, start..<end) }
      }
    }
    guard let range = best?.range else { return "" }
    return String(String.UnicodeScalarView(reference.context[range]))
  }
}

extension TokenizedRows {
  /// Tokenizes questions with the texts that hold their answers, on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Questions, contexts as second texts, and answers as responses. Without a place,
  ///     the first occurrence of an answer counts.
  ///   - tokenizer: That of the checkpoint.
  ///   - maxLength: Tokens of a row at most; contexts are cut at their end. Where that cuts the
  ///     answer off, the first token of the row stands for it.
  /// - Throws: ``ApusError`` `.invalidData` for a row without context or answer, or whose answer is
  ///   not in the context where it should be.
  public init(
    questions dataset: Dataset, tokenizer: Tokenizer, maxLength: Int
  ) throws(ApusError) {
    self.init(
      try Self.concurrently(dataset.examples) { row throws(ApusError) in
        guard let text = row.pair, let answer = row.response else {
          throw ApusError(
            .invalidData, at: row.source.description, "the row has no context or no answer",
            remedy: "Name their columns with data.columns.pair and data.columns.response")
        }
        let (context, wanted) = (ScalarText(text), ScalarText(answer))
        let start = row.responseStart ?? Self.place(of: wanted, in: context)
        guard start >= 0, start + wanted.count <= context.count,
          Array(context[start..<(start + wanted.count)]) == wanted
        else {
          throw ApusError(
            .invalidData, at: row.source.description,
            "the context has no \"\(answer)\" \(row.responseStart.map { "at \($0)" } ?? "in it")",
            remedy: "Give the place in Unicode scalars, or let bad rows be skipped")
        }
        let encoding = try tokenizer.encode(
          row.text, pair: text,
          truncation: Truncation(maxLength: maxLength, strategy: .onlySecond), padding: .off)
        return Self.row(encoding, context, answer, start..<(start + wanted.count), maxLength)
      })
  }

  private static func row(
    _ encoding: Encoding, _ context: ScalarText, _ answer: String, _ range: Range<Int>,
    _ maxLength: Int
  ) -> TaskRow {
    // Tokens of the context are those behind the last special token between the two texts.
    let lastText = encoding.specialTokensMask.lastIndex(of: 0) ?? 0
    let gap = encoding.specialTokensMask[...lastText].lastIndex(of: 1) ?? -1
    let offsets = encoding.offsets.enumerated().map { place, offset in
      place > gap && place <= lastText && !offset.isEmpty ? offset : nil
    }
    let inside = offsets.indices.filter { place in
      offsets[place].map { $0.overlaps(range) } ?? false
    }
    let isWhole = inside.last.map { (offsets[$0]?.upperBound ?? 0) >= range.upperBound } ?? false
    let target = isWhole ? [inside.first ?? 0, inside.last ?? 0] : [0, 0]
    return TaskRow(
      ids: encoding.ids, types: encoding.typeIDs, target: target,
      reference: ReferenceText(context: context, offsets: offsets, text: answer),
      isCut: encoding.count == maxLength)
  }

  /// Where a text first occurs in another; −1 if it does not.
  private static func place(of wanted: ScalarText, in text: ScalarText) -> Int {
    guard wanted.count <= text.count, let first = wanted.first else { return -1 }
    return (0...(text.count - wanted.count)).first {
      text[$0] == first && text[$0...].starts(with: wanted)
    } ?? -1
  }
}

/// Metrics of answers from sums over questions.
enum AnswerScores {
  /// Loss in nats, exact matches and F1 as SQuAD measures them; empty without questions.
  static func metrics(of sums: [String: Double]) -> Metrics {
    guard let count = sums["count"], count > 0 else { return [:] }
    return [
      "loss": (sums["loss"] ?? 0) / count, "exact_match": (sums["exact"] ?? 0) / count,
      "answer_f1": (sums["f1"] ?? 0) / count,
    ]
  }
}

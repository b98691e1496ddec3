public import ApusBase
import ApusCore
public import ApusDatasets
public import ApusModels
public import ApusTokenizers
public import ApusTorch
public import Foundation

/// The words that stand for classes behind a mask.
///
/// - Source: Schick and Schütze, arXiv 2001.07676, §3.1; several words of a class count by the mean
///   of their scores.
public struct Verbalizer: Sendable {
  /// The tokens of all words.
  let tokens: [Int]
  /// The class of each of them.
  let classes: [Int]
  /// Number of classes.
  let classCount: Int

  /// Reads the words of classes.
  ///
  /// - Parameters:
  ///   - words: By name of class, separated by commas.
  ///   - labels: Names of the classes, in order.
  ///   - tokenizer: That of the checkpoint; each word is one token in the middle of a sentence.
  /// - Throws: ``ApusError`` `.invalidConfig` for a class without words or a word of several tokens.
  public init(
    _ words: [String: String], labels: [String], tokenizer: Tokenizer
  ) throws(ApusError) {
    var (tokens, classes): ([Int], [Int]) = ([], [])
    for (number, label) in labels.enumerated() {
      guard let own = words[label], !own.isEmpty else {
        throw ApusError(
          .invalidConfig, at: "task.verbalizer", "the class \"\(label)\" has no word",
          remedy: "Write words for each of \(labels.joined(separator: ", "))")
      }
      for word in own.split(separator: ",").map({ String($0.drop { $0 == " " }) }) {
        // As it is behind a space, and as it is at the beginning of a text.
        var found: [Int] = []
        for text in [" \(word)", word] where found.count != 1 {
          found = try tokenizer.encode(text, addSpecialTokens: false, padding: .off).ids
        }
        guard found.count == 1, found != tokenizer.id(of: "[UNK]").map({ [$0] }) else {
          throw ApusError(
            .invalidConfig, at: "task.verbalizer", "\"\(word)\" is not one token",
            remedy: "Choose a word that the tokenizer's vocabulary has")
        }
        tokens.append(found[0])
        classes.append(number)
      }
    }
    (self.tokens, self.classes, classCount) = (tokens, classes, labels.count)
  }

  /// Means over each class's words: scores of words [n, k] to scores of classes [n, C].
  func scores(_ words: Tensor) -> Tensor {
    var weights = [Float](repeating: 0, count: tokens.count * classCount)
    for (place, own) in classes.enumerated() {
      let count = classes.count { $0 == own }
      weights[place * classCount + own] = 1 / Float(count)
    }
    let averaging = Tensor(weights, shape: [tokens.count, classCount]).to(device: words.device)
    return matmul(words, averaging)
  }
}

/// One class a text, told by the word that the model puts behind a mask.
public struct PromptedClassTask: TextTask {
  /// The model that guesses words.
  public let model: MaskedLanguageModel
  private let verbalizer: Verbalizer
  private let device: Device

  /// The task of this model, with these words for the classes.
  public init(_ model: MaskedLanguageModel, _ verbalizer: Verbalizer, device: Device) {
    self.model = model
    self.verbalizer = verbalizer
    self.device = device
  }

  public var kind: TaskKind { .maskedLanguageModel }

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor {
    crossEntropy(
      try scores(rows, positions, random: random), rows.targets(positions, device: device))
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    var found = ClassificationScores()
    let batch = try rows.batch(positions, device: device)
    let logits = withoutGradient { scores(batch, rows, positions, random: nil) }
    found.add(logits: logits, labels: rows.targets(positions, device: device))
    return found.sums
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try model.write(to: folder, like: checkpoint)
  }

  private func scores(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor {
    scores(try rows.batch(positions, device: device), rows, positions, random: random)
  }

  private func scores(
    _ batch: TokenBatch, _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) -> Tensor {
    var (masks, row): ([Int], Int) = ([], 0)
    for position in positions {
      masks.append(row + rows.targets[position][0])
      row += rows.ids[position].count
    }
    return verbalizer.scores(
      model.scores(batch, rows: masks, words: verbalizer.tokens, random: random))
  }
}

extension TokenizedRows {
  /// Tokenizes texts in a sentence with a mask, on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Texts, or pairs of texts, with classes.
  ///   - prompt: A text with the fields {text}, {pair} and {mask}.
  ///   - tokenizer: That of the checkpoint.
  ///   - maxLength: Tokens of a row at most. Of a longer one, {text} loses words from its end.
  /// - Throws: ``ApusError`` `.invalidConfig` for a prompt without the mask, or a tokenizer or a
  ///   length that has no room for it.
  public init(
    prompted dataset: Dataset, prompt: String, tokenizer: Tokenizer, maxLength: Int
  ) throws(ApusError) {
    let names = ["[MASK]", "<mask>"]
    guard let mask = names.first(where: { tokenizer.id(of: $0) != nil }),
      let id = tokenizer.id(of: mask), prompt.contains("{mask}")
    else {
      throw ApusError(
        .invalidConfig, at: "task.prompt", "the prompt or the tokenizer has no mask",
        remedy: "Write a sentence with {text} and {mask}, and give a masked language model")
    }
    self.init(
      try Self.concurrently(dataset.examples) { row throws(ApusError) in
        var words = row.text.split(separator: " ")
        while true {
          let text = prompt.replacingOccurrences(of: "{mask}", with: mask)
            .replacingOccurrences(of: "{pair}", with: row.pair ?? "")
            .replacingOccurrences(of: "{text}", with: words.joined(separator: " "))
          let encoding = try tokenizer.encode(text, truncation: .off, padding: .off)
          let place = encoding.ids.firstIndex(of: id) ?? 0
          if encoding.count <= maxLength {
            return TaskRow(
              ids: encoding.ids, types: encoding.typeIDs, target: [place],
              isCut: words.count < row.text.split(separator: " ").count)
          }
          guard !words.isEmpty else {
            throw ApusError(
              .invalidConfig, at: "model.max-length", "\(maxLength) leaves no room for the prompt",
              remedy: "Raise it, or shorten task.prompt")
          }
          words.removeLast(max(1, min(words.count, (encoding.count - maxLength) / 2)))
        }
      }, labels: dataset.examples.compactMap(\.label))
  }
}

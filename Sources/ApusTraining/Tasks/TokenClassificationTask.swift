public import ApusBase
import ApusCore
public import ApusDatasets
public import ApusModels
public import ApusTokenizers
public import ApusTorch
public import Foundation

/// A tag for every word: its first token is asked, the others count nothing.
public struct TokenClassificationTask: TextTask {
  /// The model that scores tokens.
  public let model: TokenScorer
  private let tags: [String]
  private let device: Device

  /// The task of this model, whose scores stand for these tags.
  public init(_ model: TokenScorer, tags: [String], device: Device) {
    self.model = model
    self.tags = tags
    self.device = device
  }

  public var kind: TaskKind { .tokenClassification }

  public func loss(
    _ rows: TokenizedRows, _ positions: [Int], random: RandomStream?
  ) throws(ApusError) -> Tensor {
    let batch = try rows.batch(positions, device: device)
    return TokenScorer.tagLoss(
      model.scores(batch, random: random), tags: targets(rows, positions))
  }

  public func sums(
    _ rows: TokenizedRows, _ positions: [Int]
  ) throws(ApusError) -> [String: Double] {
    let batch = try rows.batch(positions, device: device)
    let scores = withoutGradient { model.scores(batch, random: nil) }
    var found = TagScores()
    let wanted = targets(rows, positions)
    found.add("loss", crossEntropy(scores, wanted, sum: true).item)
    var guesses = scores.argmax(1).ints[...]
    for position in positions {
      let own = rows.targets[position]
      let counted = own.indices.filter { own[$0] >= 0 }
      found.add(
        truth: counted.map { tags[own[$0]] },
        guess: counted.map { tags[guesses[guesses.startIndex + $0]] })
      guesses = guesses.dropFirst(own.count)
    }
    return found.sums
  }

  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String]
  ) throws(ApusError) {
    try model.write(to: folder, like: checkpoint, labels: tags)
  }

  private func targets(_ rows: TokenizedRows, _ positions: [Int]) -> Tensor {
    let all = positions.flatMap { rows.targets[$0] }
    return Tensor(all, shape: [all.count]).to(device: device)
  }
}

extension TokenizedRows {
  /// Tokenizes texts whose words have tags, on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Words with tags.
  ///   - tags: The names of all tags, in order.
  ///   - names: What numbers among the tags stand for; empty if they are names.
  ///   - tokenizer: That of the checkpoint; words are joined by spaces.
  ///   - maxLength: Tokens of a row at most; words that are cut off count nothing.
  /// - Throws: ``ApusError`` `.invalidData` for a row without tags or with an unknown one.
  public init(
    tagged dataset: Dataset, tags: [String], names: [String], tokenizer: Tokenizer, maxLength: Int
  ) throws(ApusError) {
    let numbers = Dictionary(
      tags.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    self.init(
      try Self.concurrently(dataset.examples) { row throws(ApusError) in
        guard let words = row.words, let own = row.tags else {
          throw ApusError(
            .invalidData, at: row.source.description, "the row has no tags",
            remedy: "Name the column of tags with data.columns.tags")
        }
        var wanted: [Int] = []
        for tag in own {
          let name = Int(tag).flatMap { names.indices.contains($0) ? names[$0] : nil } ?? tag
          guard let number = numbers[name] else {
            throw ApusError(
              .invalidData, at: row.source.description, "there is no tag \"\(name)\"",
              remedy: Spelling.remedy(for: name, allowed: tags))
          }
          wanted.append(number)
        }
        let encoding = try tokenizer.encode(
          row.text, truncation: Truncation(maxLength: maxLength), padding: .off)
        let places = Self.firstTokens(of: words, encoding)
        var target = Array(repeating: -100, count: encoding.count)
        for (word, place) in places { target[place] = wanted[word] }
        return TaskRow(
          ids: encoding.ids, types: encoding.typeIDs, target: target,
          isCut: encoding.count == maxLength)
      })
  }

  /// The tags of a data set in order: those that are named, or all that occur.
  ///
  /// - Throws: ``ApusError`` `.invalidData` if no row has one.
  public static func tags(
    of dataset: Dataset, named names: [String]
  ) throws(ApusError) -> [String] {
    let found = names.isEmpty ? Set(dataset.examples.flatMap { $0.tags ?? [] }).sorted() : names
    guard found.count >= 2 else {
      throw ApusError(
        .invalidData, at: dataset.name,
        "two tags at least are needed, the rows have \(found.count)",
        remedy: "Choose the column of tags with data.columns.tags")
    }
    return found
  }

  /// The first token of every word that has one: words by number, tokens by place.
  private static func firstTokens(of words: [String], _ encoding: Encoding) -> [Int: Int] {
    var ends: [Int] = []  // where each word ends, in scalars of the joined text
    for word in words { ends.append((ends.last.map { $0 + 1 } ?? 0) + word.unicodeScalars.count) }
    var places: [Int: Int] = [:]
    var word = 0
    for (place, range) in encoding.offsets.enumerated() where !range.isEmpty {
      // A token may begin with the space in front of its word, never end with one behind.
      while word < ends.count, ends[word] < range.upperBound { word += 1 }
      if word < ends.count, places[word] == nil { places[word] = place }
    }
    return places
  }
}

/// Sums over tagged words from which the F1 of entities follows; parts can be added.
struct TagScores {
  private(set) var sums: [String: Double] = [:]

  /// Counts the words of one text.
  mutating func add(truth: [String], guess: [String]) {
    add("count", Double(truth.count))
    add("correct", Double(zip(truth, guess).count { $0 == $1 }))
    var tally = EntityTally()
    tally.add(truth: truth, guess: guess)
    for type in tally.types.labels {
      add("true/\(type)", Double(tally.types.truths[type] ?? 0))
      add("guessed/\(type)", Double(tally.types.guesses[type] ?? 0))
      add("hit/\(type)", Double(tally.types.hits[type] ?? 0))
    }
  }

  mutating func add(_ name: String, _ value: Double) { sums[name, default: 0] += value }

  /// Loss in nats and accuracy over words; precision, recall and F1 over entities, and F1 averaged
  /// over their types; empty without words.
  static func metrics(of sums: [String: Double]) -> Metrics {
    guard let count = sums["count"], count > 0 else { return [:] }
    var types = ClassTally<String>()
    for (name, value) in sums {
      let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { continue }
      let number = Int(value)
      types.add(
        parts[1], truths: parts[0] == "true" ? number : 0,
        guesses: parts[0] == "guessed" ? number : 0, hits: parts[0] == "hit" ? number : 0)
    }
    return [
      "loss": (sums["loss"] ?? 0) / count, "word_accuracy": (sums["correct"] ?? 0) / count,
      "entity_f1": types.micro.f1, "entity_precision": types.micro.precision,
      "entity_recall": types.micro.recall, "entity_macro_f1": types.macroF1,
    ]
  }
}

import ApusBase
public import Foundation

/// A folder with a tiny checkpoint, rows for one of the tasks and an experiment file.
public struct TinyTask {
  /// Tasks by the names that experiment files give them.
  public static let kinds = [
    "seq2seq", "token-classification", "extractive-qa", "masked-lm", "sequence-classification",
  ]

  private let place: TemporaryFolder
  /// The folder, which is removed with the last copy of the value.
  public var folder: URL { place.url }
  /// The experiment file.
  public var experiment: URL { folder.appending(path: "tiny.yaml") }

  /// Writes everything to a fresh temporary folder.
  public init(_ kind: String, clients: Int = 4, rounds: Int = 3) throws {
    place = try TemporaryFolder()
    let checkpoint = folder.appending(path: "checkpoint")
    if kind == "seq2seq" {
      try TinyEncoderDecoder.write(to: checkpoint)
    } else {
      try TinyCheckpoint.write(to: checkpoint)
    }
    try Data(try Self.rows(kind, clients).utf8).write(to: folder.appending(path: "rows.jsonl"))
    try Data(Self.yaml(kind, rounds).utf8).write(to: experiment)
  }

  private static func rows(_ kind: String, _ clients: Int) throws -> String {
    var random = RandomStream(seed: 8)
    var lines = ""
    for client in 0..<clients {
      for _ in 0..<(14 + 2 * client) {
        var row = self.row(kind, &random)
        row["owner"] = "owner \(client)"
        lines += String(decoding: try TinyCheckpoint.json(row), as: UTF8.self) + "\n"
      }
    }
    return lines
  }

  private static func row(_ kind: String, _ random: inout RandomStream) -> [String: Any] {
    let topic = random.integer(below: 3)
    let words = TinyCheckpoint.topics[topic]
    func filler() -> String {
      TinyCheckpoint.fillers[random.integer(below: TinyCheckpoint.fillers.count)]
    }
    let (first, second, third) = (filler(), filler(), filler())
    let word = words[2 + random.integer(below: 3)]
    switch kind {
    case "seq2seq": return ["document": "\(first) \(word)", "summary": "\(words[0]) \(words[1])"]
    case "token-classification":
      let names = ["SHIP", "FARM", "TUNE"]
      return [
        "tokens": [first, word, words[1], second],
        "ner": ["O", "B-\(names[topic])", "I-\(names[topic])", "O"],
      ]
    case "extractive-qa":
      return [
        "question": words[0], "context": "\(first) \(second) \(word) \(third)", "answer": word,
        "start": first.count + second.count + 2,
      ]
    case "masked-lm": return ["text": "\(first) \(word) \(second)", "label": words[0]]
    default:
      // The second text decides.
      return [
        "premise": "\(first) \(second)", "hypothesis": "\(third) \(word)", "label": words[0],
      ]
    }
  }

  private static func yaml(_ kind: String, _ rounds: Int) -> String {
    let (columns, task) =
      switch kind {
      case "seq2seq":
        (
          "{text: document, response: summary, client: owner}",
          "source-prefix: \"the \", label-smoothing: 0.1, written-tokens: 4, max-target-length: 8"
        )
      case "token-classification": ("{text: tokens, tags: ner, client: owner}", "")
      case "extractive-qa":
        (
          "{text: question, pair: context, response: answer, response-start: start, client: owner}",
          ""
        )
      case "masked-lm":
        (
          "{text: text, label: label, client: owner}",
          "prompt: \"{text} with {mask}\", verbalizer: {ship: ship, seed: \"seed, soil\", string: bow}"
        )
      default: ("{text: premise, pair: hypothesis, label: label, client: owner}", "")
      }
    return """
      name: tiny
      seed: 3
      model: {checkpoint: checkpoint, max-length: 24}
      task: {kind: \(kind)\(task.isEmpty ? "" : ", ")\(task)}
      data:
        source: jsonl
        train: rows.jsonl
        columns: \(columns)
        partition: {kind: natural}
        test-share: 0.2
      adapter: {rank: 8, alpha: 16, targets: all-linear}
      method: {name: fedit}
      training:
        {local-epochs: 4, batch-size: 4, learning-rate: 1e-2, schedule: constant, clip-norm: 1}
      federation:
        rounds: \(rounds)
        sampling: {cohort-size: 3}
      engine: {workers: 2}
      """
  }
}

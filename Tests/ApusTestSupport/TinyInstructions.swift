import ApusBase
public import Foundation

/// A folder with a tiny decoder, instructions of a few clients and an experiment file.
public struct TinyInstructions {
  private let place: TemporaryFolder
  /// The folder, which is removed with the last copy of the value.
  public var folder: URL { place.url }
  /// The experiment file.
  public var experiment: URL { folder.appending(path: "tiny.yaml") }

  /// Writes everything to a fresh temporary folder.
  ///
  /// Each client has a topic that it asks for most; the answer names two words of the topic.
  public init(
    clients: Int = 4, rounds: Int = 3, layers: Int = 2
  ) throws {
    place = try TemporaryFolder()
    try TinyDecoder.write(to: folder.appending(path: "checkpoint"), layers: layers)
    try Data(Self.rows(clients).utf8).write(to: folder.appending(path: "rows.jsonl"))
    try Data(Self.yaml(clients, rounds).utf8).write(to: experiment)
  }

  private static func rows(_ clients: Int) -> String {
    var lines = ""
    var random = RandomStream(seed: 6)
    for client in 0..<clients {
      for row in 0..<(8 + 2 * client) {
        let topic = row.isMultiple(of: 3) ? random.integer(below: 3) : client % 3
        let words = TinyCheckpoint.topics[topic]
        let filler = TinyCheckpoint.fillers[random.integer(below: TinyCheckpoint.fillers.count)]
        lines +=
          "{\"question\": \"\(filler) \(words[2 + random.integer(below: 3)])\", "
          + "\"answer\": \"\(words[0]) \(words[1])\", \"owner\": \"owner \(client)\"}\n"
      }
    }
    return lines
  }

  private static func yaml(_ clients: Int, _ rounds: Int) -> String {
    """
    name: tiny
    seed: 3
    model: {checkpoint: checkpoint, max-length: 24}
    task: {kind: causal-lm, template: own, template-text: "the {instruction} of {response}"}
    data:
      source: jsonl
      train: rows.jsonl
      columns: {text: question, response: answer, client: owner}
      partition: {kind: natural}
      test-share: 0.2
    adapter: {rank: 4, alpha: 8}
    method: {name: fedit}
    training:
      {local-epochs: 1, batch-size: 4, learning-rate: 2e-2, schedule: constant, clip-norm: 1}
    federation:
      rounds: \(rounds)
      sampling: {cohort-size: \(max(1, clients - 1))}
    engine: {workers: 2}
    """
  }
}

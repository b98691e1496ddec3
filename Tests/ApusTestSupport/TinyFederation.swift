import ApusBase
public import Foundation

/// A folder with a tiny checkpoint, rows of a few clients and an experiment file.
public struct TinyFederation {
  private let place: TemporaryFolder
  /// The folder, which is removed with the last copy of the value.
  public var folder: URL { place.url }
  /// The experiment file.
  public var experiment: URL { folder.appending(path: "tiny.yaml") }

  /// Writes everything to a fresh temporary folder.
  ///
  /// The natural clients are of unequal size, and each has a class that it has most of.
  public init(clients: Int = 5, rounds: Int = 3, dropout: Double = 0.1) throws {
    place = try TemporaryFolder()
    try TinyCheckpoint.write(to: folder.appending(path: "checkpoint"), dropout: dropout)
    try Data(Self.rows(clients).utf8).write(to: folder.appending(path: "rows.jsonl"))
    try Data(Self.yaml(clients, rounds).utf8).write(to: experiment)
  }

  private static func rows(_ clients: Int) -> String {
    var lines = ""
    var random = RandomStream(seed: 5)
    for client in 0..<clients {
      for row in 0..<(10 + 3 * client) {
        let label = row.isMultiple(of: 3) ? random.integer(below: 3) : client % 3
        var words: [String] = []
        for _ in 0..<(2 + random.integer(below: 4)) {
          let source =
            random.integer(below: 3) == 0 ? TinyCheckpoint.fillers : TinyCheckpoint.topics[label]
          words.append(source[random.integer(below: source.count)])
        }
        lines +=
          "{\"text\": \"\(words.joined(separator: " "))\", \"label\": \(label), "
          + "\"owner\": \"owner \(client)\"}\n"
      }
    }
    return lines
  }

  private static func yaml(_ clients: Int, _ rounds: Int) -> String {
    """
    name: tiny
    seed: 3
    model: {checkpoint: checkpoint, pooling: mean, max-length: 16}
    data:
      source: jsonl
      train: rows.jsonl
      columns: {text: text, label: label, client: owner}
      partition: {kind: natural}
      test-share: 0.2
    adapter: {rank: 4, alpha: 8}
    method: {name: fedit}
    training:
      {local-epochs: 1, batch-size: 4, learning-rate: 1e-2, schedule: constant, clip-norm: 1}
    federation:
      rounds: \(rounds)
      sampling: {cohort-size: \(max(1, clients - 1))}
    engine: {workers: 2}
    """
  }
}

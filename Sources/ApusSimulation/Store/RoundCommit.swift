import ApusBase
import ApusCore
import Foundation
import GRDB

/// Everything that one round leaves behind.
struct RoundCommit {
  var record: RoundRecord
  var metrics: [MetricRow] = []
  var events: [RunEvent] = []
  /// The server's encoded snapshot.
  var snapshot = Data()
}

extension RunStore {
  /// Commits a round: files first, then one transaction that refers to them, then the cleaning up.
  ///
  /// - Parameters:
  ///   - commit: What the round leaves behind.
  ///   - states: The clients' states, with those of this round staged.
  /// - Throws: ``ApusError`` `.fileAccess` if the disk is full; earlier rounds are then intact.
  func commit(_ commit: RoundCommit, states: ClientStateStore) throws(ApusError) {
    let round = commit.record.index
    let file = checkpointURL(round)
    try DurableFile.write(commit.snapshot, to: file)
    let changes = try states.seal(round: round)
    let score = score(of: commit.metrics)
    try database.write { database in
      try database.insert(commit.record)
      for row in commit.metrics { try database.insert(row) }
      for event in commit.events { try database.insert(event) }
      try database.execute(
        sql: "INSERT INTO checkpoints VALUES (?, ?, ?)",
        arguments: [round, file.lastPathComponent, score])
      try database.execute(
        sql: "DELETE FROM checkpoints WHERE round NOT IN (\(Self.kept(retention)))")
      for (client, place) in changes { try database.setPlace(place, of: client) }
    }
    states.commit()
    try deleteUnusedCheckpoints()
  }

  /// The server's encoded snapshot after the last committed round; nil before the first.
  func lastSnapshot() throws(ApusError) -> Data? {
    let file = try database.read {
      try String.fetchOne($0, sql: "SELECT file FROM checkpoints ORDER BY round DESC LIMIT 1")
    }
    guard let file else { return nil }
    return try bytes(of: file)
  }

  /// Mean length of the updates of the last committed round that had any; nil if none had.
  func lastUplinkBytes() throws(ApusError) -> Int? {
    let used = [ClientRecord.Status.used, .usedThenLost].map(\.rawValue)
    let lengths = try database.read { database in
      try Int.fetchAll(
        database,
        sql: """
          SELECT uplink_bytes FROM client_rounds WHERE status IN (?, ?) AND round =
            (SELECT max(round) FROM client_rounds WHERE status IN (?, ?))
          """,
        arguments: StatementArguments(used + used))
    }
    return lengths.isEmpty ? nil : lengths.reduce(0, +) / lengths.count
  }

  /// The clients' states at the last committed round.
  func openStates(memoryBudget: Int) throws(ApusError) -> ClientStateStore {
    let rows = try database.read { try Row.fetchAll($0, sql: "SELECT * FROM client_states") }
    var places: [Int: ClientStateStore.Place] = [:]
    for row in rows {
      places[row["client"]] = ClientStateStore.Place(
        pack: row["pack"], offset: row["start"], count: row["length"])
    }
    try deleteUnusedCheckpoints()
    return ClientStateStore(folder: statesFolder, places: places, memoryBudget: memoryBudget)
  }

  func bytes(of checkpoint: String) throws(ApusError) -> Data {
    let url = checkpointsFolder.appendingPathComponent(checkpoint)
    do { return try Data(contentsOf: url) } catch {
      throw ApusError(
        .runState, at: url.path, "the checkpoint of the last round cannot be read",
        remedy: "Restore the run's folder from a copy, or start the run anew", cause: error)
    }
  }

  private func checkpointURL(_ round: Int) -> URL {
    checkpointsFolder.appendingPathComponent("round-\(round).safetensors")
  }

  /// The value by which the best round is chosen, made so that the greatest is the best.
  private func score(of metrics: [MetricRow]) -> Double? {
    let value = metrics.first { "\($0.scope) \($0.metric)" == retention.bestBy }?.value
    guard let value, value.isFinite else { return nil }
    return retention.greaterIsBetter ? value : -value
  }

  /// The rounds whose checkpoints stay: the last few, and the best.
  private static func kept(_ retention: Retention) -> String {
    """
    SELECT round FROM (SELECT round FROM checkpoints ORDER BY round DESC LIMIT \(retention.last))
    UNION SELECT round FROM (SELECT round FROM checkpoints WHERE score IS NOT NULL
      ORDER BY score DESC, round LIMIT 1)
    """
  }

  private func deleteUnusedCheckpoints() throws(ApusError) {
    let used = Set(
      try database.read { try String.fetchAll($0, sql: "SELECT file FROM checkpoints") })
    let files = (try? FileManager.default.contentsOfDirectory(atPath: checkpointsFolder.path)) ?? []
    for file in files where !used.contains(file) {
      try? FileManager.default.removeItem(at: checkpointsFolder.appendingPathComponent(file))
    }
  }
}

extension Database {
  func insert(_ record: RoundRecord) throws {
    try run(
      sql: "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      arguments: [
        record.index, record.clients.count, record.updates, record.downlinkBytes,
        record.uplinkBytes, record.virtualSeconds, record.joules, record.wallSeconds,
      ])
    for client in record.clients {
      try run(
        sql: "INSERT INTO client_rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        arguments: [
          record.index, client.client.index, client.client.name, client.status.rawValue,
          client.reason, client.downlinkBytes, client.uplinkBytes, client.steps, client.loss,
          client.weight, client.virtualSeconds, client.joules,
        ])
    }
  }

  func insert(_ row: MetricRow) throws {
    // SQLite keeps NaN as NULL, and reading makes it NaN again.
    try run(
      sql: "INSERT INTO metrics (round, scope, client, name, value) VALUES (?, ?, ?, ?, ?)",
      arguments: [
        row.round, row.scope, row.client, row.metric, row.value.isNaN ? nil : row.value,
      ])
  }

  func insert(_ event: RunEvent) throws {
    try run(
      sql: "INSERT INTO events (round, client, kind, text) VALUES (?, ?, ?, ?)",
      arguments: [event.round, event.client, event.kind.rawValue, event.text])
  }

  func setPlace(_ place: ClientStateStore.Place?, of client: Int) throws {
    guard let place else {
      return try run(
        sql: "DELETE FROM client_states WHERE client = ?", arguments: [client])
    }
    try run(
      sql: "INSERT OR REPLACE INTO client_states VALUES (?, ?, ?, ?)",
      arguments: [client, place.pack, place.offset, place.count])
  }

  /// Executes a statement that many rows need, prepared once.
  private func run(sql: String, arguments: StatementArguments) throws {
    try cachedStatement(sql: sql).execute(arguments: arguments)
  }
}

public import ApusBase
public import ApusCore
public import Foundation
import GRDB

/// Reads what a run has committed, also while it goes on.
public struct RunArchive: Sendable {
  private let database: RunDatabase
  private let folder: URL
  /// What the run is.
  public let description: RunDescription
  /// When it began.
  public let created: Date

  /// Opens a run's folder for reading.
  ///
  /// - Throws: ``ApusError`` `.runState` if there is no run, `.invalidFile` if its database is
  ///   damaged.
  public init(_ folder: URL) throws(ApusError) {
    let file = RunStore.databaseURL(folder)
    guard FileManager.default.fileExists(atPath: file.path) else { throw RunStore.noRun(folder) }
    database = try RunDatabase(file, readOnly: true)
    description = try database.description()
    created =
      try database.read { try Date.fetchOne($0, sql: "SELECT created FROM run") } ?? .distantPast
    self.folder = folder
  }

  /// The records of all rounds, in order.
  public func rounds() throws(ApusError) -> [RoundRecord] {
    let (rounds, clients) = try database.read { database in
      (
        try Row.fetchAll(database, sql: "SELECT * FROM rounds ORDER BY round"),
        try Row.fetchAll(database, sql: "SELECT * FROM client_rounds ORDER BY round, client")
      )
    }
    let byRound = Dictionary(grouping: clients) { $0["round"] as Int }
    return rounds.map { row in
      var record = RoundRecord(index: row["round"])
      record.virtualSeconds = row["virtual_seconds"]
      record.wallSeconds = row["wall_seconds"]
      record.clients = (byRound[record.index] ?? []).map(Self.client)
      return record
    }
  }

  /// All numbers, in the order in which they were committed.
  public func metrics() throws(ApusError) -> [MetricRow] {
    try database.read { database in
      try Row.fetchAll(database, sql: "SELECT * FROM metrics ORDER BY id").map {
        MetricRow(
          round: $0["round"], scope: $0["scope"], client: $0["client"], metric: $0["name"],
          value: ($0["value"] as Double?) ?? .nan)
      }
    }
  }

  /// All events, in order.
  public func events() throws(ApusError) -> [RunEvent] {
    try database.read { database in
      try Row.fetchAll(database, sql: "SELECT * FROM events ORDER BY id").map {
        RunEvent(
          round: $0["round"], client: $0["client"],
          kind: RunEvent.Kind(rawValue: $0["kind"]) ?? .silentFailure, text: $0["text"])
      }
    }
  }

  /// Rounds that have a checkpoint, in order.
  public func checkpoints() throws(ApusError) -> [Int] {
    try database.read { try Int.fetchAll($0, sql: "SELECT round FROM checkpoints ORDER BY round") }
  }

  /// The round with the best score; nil if none was scored.
  public func bestRound() throws(ApusError) -> Int? {
    try database.read {
      try Int.fetchOne(
        $0,
        sql: "SELECT round FROM checkpoints WHERE score IS NOT NULL ORDER BY score DESC, round")
    }
  }

  /// The server's snapshot after a round.
  ///
  /// - Parameter round: One of ``checkpoints()``.
  /// - Returns: What a server half can be restored from.
  /// - Throws: ``ApusError`` `.runState` if the round has no checkpoint.
  public func snapshot(after round: Int) throws(ApusError) -> Snapshot {
    let file = try database.read {
      try String.fetchOne(
        $0, sql: "SELECT file FROM checkpoints WHERE round = ?", arguments: [round])
    }
    guard let file else {
      throw ApusError(
        .runState, at: folder.path, "there is no checkpoint of round \(round)",
        remedy: "Take one of the rounds \(try checkpoints())")
    }
    let url = folder.appendingPathComponent("checkpoints").appendingPathComponent(file)
    guard let bytes = try? Data(contentsOf: url) else {
      throw ApusError(
        .fileAccess, at: url.path, "the checkpoint cannot be read",
        remedy: "Restore the run's folder from a copy")
    }
    return try Snapshot(encoded: bytes, at: url.path)
  }

  /// The encoded snapshot of a client's half after the last committed round; nil if it keeps none.
  ///
  /// - Parameter client: The client's index.
  /// - Returns: What ``Snapshot/init(encoded:at:)`` reads.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be read, or was replaced meanwhile.
  public func clientState(of client: Int) throws(ApusError) -> Data? {
    let row = try database.read {
      try Row.fetchOne($0, sql: "SELECT * FROM client_states WHERE client = ?", arguments: [client])
    }
    guard let row else { return nil }
    let (pack, start, length) = (row["pack"] as Int, row["start"] as Int, row["length"] as Int)
    return try DurableFile.read(
      start..<(start + length),
      of: folder.appendingPathComponent("states").appendingPathComponent("round-\(pack).states"))
  }

  private static func client(_ row: Row) -> ClientRecord {
    var record = ClientRecord(
      client: ClientID(index: row["client"], name: row["name"]),
      status: ClientRecord.Status(rawValue: row["status"]) ?? .failed,
      downlinkBytes: row["downlink_bytes"])
    record.reason = row["reason"]
    record.uplinkBytes = row["uplink_bytes"]
    record.steps = row["steps"]
    record.loss = row["loss"]
    record.weight = row["weight"]
    record.virtualSeconds = row["virtual_seconds"]
    record.joules = row["joules"]
    return record
  }
}

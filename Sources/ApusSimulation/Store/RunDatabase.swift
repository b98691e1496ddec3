import ApusBase
import Foundation
import GRDB

/// The SQLite file of a run: its tables, and errors that say what to do.
struct RunDatabase: Sendable {
  /// Version of the tables; another one is refused.
  static let schemaVersion = 1

  let queue: DatabaseQueue
  let path: String

  /// Opens the file and sets it up to survive a crash of the machine.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` if it is damaged or no database, `.runState` if its
  ///   tables have another version, `.fileAccess` if it cannot be read or written.
  init(_ url: URL, readOnly: Bool = false) throws(ApusError) {
    path = url.path
    var configuration = Configuration()
    configuration.readonly = readOnly
    configuration.foreignKeysEnabled = true
    configuration.busyMode = .timeout(10)  // a report may be reading at the time of a commit
    do {
      queue = try DatabaseQueue(path: url.path, configuration: configuration)
      if !readOnly {
        try queue.writeWithoutTransaction { database in
          try database.execute(sql: "PRAGMA journal_mode = WAL")
          try database.execute(sql: "PRAGMA synchronous = FULL")
        }
      }
    } catch { throw Self.located(error, at: url.path) }
  }

  /// Makes the tables in a transaction of their own, together with the run's description.
  func create(_ description: RunDescription) throws(ApusError) {
    try write { database in
      try database.execute(sql: Self.tables)
      try database.execute(sql: "PRAGMA user_version = \(Self.schemaVersion)")
      try database.execute(
        sql: "INSERT INTO run VALUES (1, ?, ?, ?, ?)",
        arguments: [
          try Self.json(description.configuration), String(description.seed),
          try Self.json(description.versions), Date(),
        ])
    }
  }

  /// Reads the description, after checking version and health of the file.
  func description() throws(ApusError) -> RunDescription {
    let version = try read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
    guard version == Self.schemaVersion else {
      throw ApusError(
        .runState, at: path,
        "the run's tables have version \(version), this Apus reads \(Self.schemaVersion)",
        remedy: "Use the version of Apus that began the run, or give the new run a new name")
    }
    let health = try read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") ?? "" }
    guard health == "ok" else { throw Self.damaged(path, reason: health) }
    let row = try read { try Row.fetchOne($0, sql: "SELECT * FROM run") }
    guard let row, let configuration = Self.dictionary(row["configuration"]),
      let seed = UInt64(row["seed"] as String), let versions = Self.dictionary(row["versions"])
    else { throw Self.damaged(path, reason: "it describes no run") }
    return RunDescription(configuration: configuration, seed: seed, versions: versions)
  }

  /// Runs statements in one transaction: all of them, or none.
  func write<Result>(_ body: (Database) throws -> Result) throws(ApusError) -> Result {
    do { return try queue.write(body) } catch { throw Self.located(error, at: path) }
  }

  /// Runs queries that see one state of the file.
  func read<Result>(_ body: (Database) throws -> Result) throws(ApusError) -> Result {
    do { return try queue.read(body) } catch { throw Self.located(error, at: path) }
  }

  private static func located(_ error: any Error, at path: String) -> ApusError {
    guard let failure = error as? DatabaseError else {
      return error as? ApusError
        ?? ApusError(
          .fileAccess, at: path, "the run's database cannot be used",
          remedy: "Check that you may read and write its folder", cause: error)
    }
    switch failure.resultCode {
    case .SQLITE_NOTADB, .SQLITE_CORRUPT:
      return damaged(path, reason: failure.message ?? "unreadable")
    default:
      return ApusError(
        .fileAccess, at: path,
        "the run's database cannot be used (\(failure.message ?? failure.resultCode.description))",
        remedy: "Check that you may write its folder and that space is left; "
          + "committed rounds are intact",
        cause: failure)
    }
  }

  private static func damaged(_ path: String, reason: String) -> ApusError {
    ApusError(
      .invalidFile, at: path, "the run's database is damaged (\(reason))",
      remedy: "Restore the run's folder from a copy, or start the run anew under another name")
  }

  private static func json(_ values: [String: String]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(values), as: UTF8.self)
  }

  private static func dictionary(_ text: String?) -> [String: String]? {
    text.flatMap { try? JSONDecoder().decode([String: String].self, from: Data($0.utf8)) }
  }

  private static let tables = """
    CREATE TABLE run (
      id INTEGER PRIMARY KEY CHECK (id = 1), configuration TEXT NOT NULL, seed TEXT NOT NULL,
      versions TEXT NOT NULL, created TEXT NOT NULL);
    CREATE TABLE rounds (
      round INTEGER PRIMARY KEY, cohort INTEGER NOT NULL, updates INTEGER NOT NULL,
      downlink_bytes INTEGER NOT NULL, uplink_bytes INTEGER NOT NULL,
      virtual_seconds REAL NOT NULL, joules REAL NOT NULL, wall_seconds REAL NOT NULL);
    CREATE TABLE client_rounds (
      round INTEGER NOT NULL REFERENCES rounds, client INTEGER NOT NULL, name TEXT NOT NULL,
      status TEXT NOT NULL, reason TEXT, downlink_bytes INTEGER NOT NULL,
      uplink_bytes INTEGER NOT NULL, steps INTEGER NOT NULL, loss REAL, weight REAL NOT NULL,
      virtual_seconds REAL NOT NULL, joules REAL NOT NULL, PRIMARY KEY (round, client));
    CREATE TABLE metrics (
      id INTEGER PRIMARY KEY, round INTEGER NOT NULL, scope TEXT NOT NULL, client TEXT,
      name TEXT NOT NULL, value REAL);
    CREATE TABLE events (
      id INTEGER PRIMARY KEY, round INTEGER, client TEXT, kind TEXT NOT NULL, text TEXT NOT NULL);
    CREATE TABLE checkpoints (
      round INTEGER PRIMARY KEY REFERENCES rounds, file TEXT NOT NULL, score REAL);
    CREATE TABLE client_states (
      client INTEGER PRIMARY KEY, pack INTEGER NOT NULL, start INTEGER NOT NULL,
      length INTEGER NOT NULL);
    """
}

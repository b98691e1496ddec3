public import ApusBase
public import Foundation
import GRDB

/// The folder of one run: everything that is needed to go on, and everything that is reported.
///
/// `run.sqlite` is the truth. A round commits in one transaction, after the files that it refers
/// to are on the disk, so a crash at any moment leaves the last committed round whole.
public struct RunStore: Sendable {
  /// Where the run is kept.
  public let folder: URL
  /// What the run is.
  public let description: RunDescription

  let database: RunDatabase
  let retention: Retention
  private let lock: RunLock

  /// Which checkpoints are kept.
  public struct Retention: OptionGroup, Equatable {
    /// Number of recent rounds, ≥ 1.
    public var last = 2
    /// Scope and metric, such as `global/test accuracy`, by which the best round is kept too;
    /// empty for none.
    public var bestBy = ""
    /// Whether a greater value is the better one.
    public var greaterIsBetter = true

    public init() {}

    public func validate() throws(ApusError) {
      try require(last >= 1, "last", "\(last) is below 1", remedy: "Keep at least one checkpoint")
      try require(
        bestBy.isEmpty || bestBy.split(separator: " ").count == 2, "best-by",
        "\"\(bestBy)\" is no scope and metric",
        remedy: "Write both, such as \"global/test accuracy\"")
    }
  }

  /// Begins a run in a new or empty folder.
  ///
  /// - Parameters:
  ///   - folder: Made if it is missing.
  ///   - description: What the run is.
  ///   - retention: Which checkpoints are kept.
  /// - Returns: The store, which nobody else can open while it lives.
  /// - Throws: ``ApusError`` `.runState` if the folder has a run or is in use, `.fileAccess` if it
  ///   cannot be written.
  public static func create(
    at folder: URL, _ description: RunDescription, retention: Retention = Retention()
  ) throws(ApusError) -> RunStore {
    try retention.validate()
    try DurableFile.makeFolder(folder)
    let lock = try RunLock(folder: folder)
    guard try !exists(at: folder) else {
      throw ApusError(
        .runState, at: folder.path, "there is a run already",
        remedy: "Resume it, or give the new run another name")
    }
    let database = try RunDatabase(databaseURL(folder))
    let store = RunStore(
      folder: folder, description: description, database: database, retention: retention, lock: lock
    )
    for inner in [store.checkpointsFolder, store.statesFolder] {
      try DurableFile.makeFolder(inner)
    }
    for outer in [folder, folder.deletingLastPathComponent()] {
      try DurableFile.synchronize(folder: outer)
    }
    try database.create(description)
    return store
  }

  /// Goes on with a run.
  ///
  /// - Parameters:
  ///   - folder: The run's folder.
  ///   - description: What the run should be; versions may differ, and are then noted as an event.
  ///   - retention: Which checkpoints are kept from now on.
  /// - Returns: The store at the last committed round.
  /// - Throws: ``ApusError`` `.runState` if there is no run, if a living process uses it, or if it
  ///   was begun with another configuration, naming the first key; `.invalidFile` if its database
  ///   is damaged.
  public static func resume(
    at folder: URL, _ description: RunDescription, retention: Retention = Retention()
  ) throws(ApusError) -> RunStore {
    try retention.validate()
    guard FileManager.default.fileExists(atPath: databaseURL(folder).path) else {
      throw noRun(folder)
    }
    let lock = try RunLock(folder: folder)
    guard try exists(at: folder) else { throw noRun(folder) }
    let database = try RunDatabase(databaseURL(folder))
    let stored = try database.description()
    try description.requireSame(as: stored, at: folder.path)
    let store = RunStore(
      folder: folder, description: stored, database: database, retention: retention, lock: lock)
    if description.versions != stored.versions {
      let names = Set(description.versions.keys).union(stored.versions.keys).sorted()
        .filter { description.versions[$0] != stored.versions[$0] }
      try store.note(
        RunEvent(
          round: nil, kind: .resumed,
          text: "other versions than at the beginning: \(names.joined(separator: ", "))"))
    }
    return store
  }

  /// Whether a folder holds a run; a process that was killed while it began one leaves none.
  public static func exists(at folder: URL) throws(ApusError) -> Bool {
    let file = databaseURL(folder)
    guard FileManager.default.fileExists(atPath: file.path) else { return false }
    let database = try RunDatabase(file)
    return try database.read { try $0.tableExists("run") }
  }

  static func databaseURL(_ folder: URL) -> URL { folder.appendingPathComponent("run.sqlite") }

  static func noRun(_ folder: URL) -> ApusError {
    ApusError(
      .runState, at: folder.path, "there is no run to go on with",
      remedy: "Begin it first, or check the run's name")
  }

  var statesFolder: URL { folder.appendingPathComponent("states") }

  var checkpointsFolder: URL { folder.appendingPathComponent("checkpoints") }

  /// Index of the first round that has not committed.
  public func nextRound() throws(ApusError) -> Int {
    try database.read { try Int.fetchOne($0, sql: "SELECT max(round) + 1 FROM rounds") ?? 0 }
  }

  /// Writes an event that belongs to no round.
  func note(_ event: RunEvent) throws(ApusError) {
    try database.write { try $0.insert(event) }
  }
}

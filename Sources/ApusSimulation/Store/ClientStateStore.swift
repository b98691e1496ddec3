import ApusBase
import Foundation

/// The encoded snapshots of all clients: the recent ones in memory, all of them on disk.
///
/// States of one round are appended to one file, a *pack*, and count from the moment at which the
/// round commits with the index of where each lies. Until then, and after a crash, the index of
/// the last committed round is whole, for no pack is ever changed once its round is over. Packs
/// that the index no longer needs are deleted after the commit, and sparse ones are emptied into
/// the next pack, so the disk holds at most about three times what is alive.
///
/// - Complexity: one append for each new state; memory O(budget + number of clients).
final class ClientStateStore {
  /// Where a state lies; a pack is named by its round.
  struct Place: Equatable, Sendable {
    let pack: Int
    let offset: Int
    let count: Int
  }

  private let folder: URL
  private var places: [Int: Place]
  private var staged: [Int: Place?] = [:]
  private var pack: (round: Int, file: DurableFile)?
  private var cache: StateCache

  /// Opens the states of the last committed round, and deletes what an interruption left behind.
  ///
  /// - Parameters:
  ///   - folder: Where the packs are.
  ///   - places: The committed index, by the clients' index.
  ///   - memoryBudget: Bytes of states to keep in memory.
  init(folder: URL, places: [Int: Place], memoryBudget: Int) {
    self.folder = folder
    self.places = places
    cache = StateCache(budget: memoryBudget)
    deleteUnusedPacks()
  }

  /// Bytes of states in memory now.
  var bytesInMemory: Int { cache.byteCount }

  /// Bytes of all packs.
  var bytesOnDisk: Int { packSizes(of: places).values.reduce(0) { $0 + $1.size } }

  /// The latest state of a client, staged or committed; nil if it has none.
  func state(of client: Int) throws(ApusError) -> Data? {
    if let latest = staged[client] {
      guard let latest else { return nil }
      return try bytes(at: latest)
    }
    guard let place = places[client] else { return nil }
    if let bytes = cache[client] { return bytes }
    let bytes = try bytes(at: place)
    cache[client] = bytes
    return bytes
  }

  private func bytes(at place: Place) throws(ApusError) -> Data {
    try DurableFile.read(place.offset..<(place.offset + place.count), of: url(place.pack))
  }

  /// Takes a client's new state, which replaces the old one when the round commits.
  ///
  /// - Parameters:
  ///   - bytes: The state; nil if the client keeps nothing any more.
  ///   - client: The client's index.
  ///   - round: The round that is under way.
  /// - Throws: ``ApusError`` `.fileAccess` if the disk is full.
  func stage(_ bytes: Data?, for client: Int, round: Int) throws(ApusError) {
    guard let bytes else {
      staged[client] = places[client] == nil ? nil : .some(nil)
      return
    }
    let file: DurableFile
    if let pack, pack.round == round {
      file = pack.file
    } else {
      file = try DurableFile(url(round))
      pack = (round, file)
    }
    staged[client] = Place(pack: round, offset: file.count, count: bytes.count)
    try file.append(bytes)
  }

  /// Brings the staged states to the disk.
  ///
  /// - Parameter round: The round that is about to commit.
  /// - Returns: What changes in the index, to be committed together with the round.
  /// - Throws: ``ApusError`` `.fileAccess` if the disk is full.
  func seal(round: Int) throws(ApusError) -> [Int: Place?] {
    guard !staged.isEmpty else { return [:] }
    try carrySparsePacks(into: round)
    if let pack {
      try pack.file.synchronize()
      try DurableFile.synchronize(folder: folder)
    }
    return staged
  }

  /// Goes over to the sealed states, after the round has committed.
  func commit() {
    for (client, place) in staged {
      places[client] = place
      cache[client] = nil
    }
    staged = [:]
    pack = nil
    deleteUnusedPacks()
  }

  /// Moves living states out of packs that are mostly dead while the packs take too much space.
  private func carrySparsePacks(into round: Int) throws(ApusError) {
    while true {
      let living = places.merging(staged.compactMapValues { $0 }) { $1 }
        .filter { staged[$0.key] != .some(nil) }
      let sizes = packSizes(of: living)
      let (live, total) = sizes.values.reduce((0, 0)) { ($0.0 + $1.live, $0.1 + $1.size) }
      guard total > 3 * live + 1 << 20,
        let sparsest = sizes.filter({ $0.key != round })
          .min(by: { ($0.value.share, $0.key) < ($1.value.share, $1.key) })?.key
      else { return }
      for (client, place) in living.sorted(by: { $0.key < $1.key }) where place.pack == sparsest {
        try stage(state(of: client), for: client, round: round)
      }
    }
  }

  private struct PackSize {
    var live = 0
    var size = 0
    var share: Double { Double(live) / Double(max(1, size)) }
  }

  private func packSizes(of places: [Int: Place]) -> [Int: PackSize] {
    var sizes: [Int: PackSize] = [:]
    for place in places.values { sizes[place.pack, default: PackSize()].live += place.count }
    for round in sizes.keys {
      let attributes = try? FileManager.default.attributesOfItem(atPath: url(round).path)
      sizes[round]?.size = (attributes?[.size] as? Int) ?? 0
    }
    return sizes
  }

  private func deleteUnusedPacks() {
    let used = Set(places.values.map { url($0.pack).lastPathComponent })
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for file in files where file.hasSuffix(".states") && !used.contains(file) {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(file))
    }
  }

  private func url(_ round: Int) -> URL { folder.appendingPathComponent("round-\(round).states") }
}

/// States in memory up to a number of bytes; the ones longest unused go first.
private struct StateCache {
  private let budget: Int
  private var entries: [Int: (bytes: Data, use: Int)] = [:]
  private var uses: [Int: Int] = [:]  // client by time of last use
  private var clock = 0
  private var oldest = 0
  private(set) var byteCount = 0

  init(budget: Int) { self.budget = budget }

  subscript(client: Int) -> Data? {
    mutating get {
      guard let entry = entries[client] else { return nil }
      uses[entry.use] = nil
      touch(client, entry.bytes)
      return entry.bytes
    }
    set {
      if let old = entries.removeValue(forKey: client) {
        uses[old.use] = nil
        byteCount -= old.bytes.count
      }
      guard let newValue, newValue.count <= budget else { return }
      byteCount += newValue.count
      touch(client, newValue)
      while byteCount > budget { evictOldest() }
    }
  }

  private mutating func touch(_ client: Int, _ bytes: Data) {
    clock += 1
    entries[client] = (bytes, clock)
    uses[clock] = client
  }

  private mutating func evictOldest() {
    while uses[oldest] == nil, oldest < clock { oldest += 1 }
    guard let client = uses[oldest] else { return }
    self[client] = nil
  }
}

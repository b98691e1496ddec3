public import ApusBase
public import Foundation

/// Writes folders of which a reader sees all or nothing.
public enum AtomicFolder {
  /// Fills a hidden folder beside `folder` and then renames it.
  ///
  /// A folder that is there already is replaced, but only if it holds nothing that the new one does
  /// not; files of other origin are never lost.
  ///
  /// - Parameters:
  ///   - folder: Where the files will be; folders above are made.
  ///   - fill: Writes the files into the folder it is given.
  /// - Throws: ``ApusError`` `.fileAccess` if the folder cannot be written or holds other files, or
  ///   what `fill` throws; then nothing has changed.
  public static func write(
    _ folder: URL, _ fill: (URL) throws(ApusError) -> Void
  ) throws(ApusError) {
    let target = folder.standardizedFileURL
    let parent = target.deletingLastPathComponent()
    let mark = ".\(target.lastPathComponent).\(UUID().uuidString)"
    let draft = parent.appendingPathComponent(mark)
    defer { try? FileManager.default.removeItem(at: draft) }
    try reporting(target) {
      try FileManager.default.createDirectory(at: draft, withIntermediateDirectories: true)
    }
    try fill(draft)
    try refuseForeignFiles(in: target, beside: draft)
    try reporting(target) { try exchange(draft, target, retired: mark + ".old") }
  }

  /// Writes one small file into a folder under construction.
  ///
  /// - Parameters:
  ///   - bytes: What the file will hold.
  ///   - name: The file's name.
  ///   - folder: What ``write(_:_:)`` gave.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be written.
  public static func put(
    _ bytes: Data, named name: String, into folder: URL
  ) throws(ApusError) {
    let file = folder.appendingPathComponent(name)
    try reporting(file) { try bytes.write(to: file) }
  }

  private static func refuseForeignFiles(in target: URL, beside draft: URL) throws(ApusError) {
    let files = FileManager.default
    guard files.fileExists(atPath: target.path) else { return }
    let present = try? files.contentsOfDirectory(atPath: target.path)
    let made = Set((try? files.contentsOfDirectory(atPath: draft.path)) ?? [])
    guard let present, made.isSuperset(of: present) else {
      let stranger = present?.sorted().first { !made.contains($0) }
      throw ApusError(
        .fileAccess, at: target.path,
        stranger.map { "the folder holds \($0), which would be lost" } ?? "this is not a folder",
        remedy: "Give a new folder")
    }
  }

  /// Puts the draft in the target's place; if that fails, what was there comes back.
  private static func exchange(_ draft: URL, _ target: URL, retired: String) throws {
    let files = FileManager.default
    guard files.fileExists(atPath: target.path) else {
      return try files.moveItem(at: draft, to: target)
    }
    let old = target.deletingLastPathComponent().appendingPathComponent(retired)
    try files.moveItem(at: target, to: old)
    do {
      try files.moveItem(at: draft, to: target)
    } catch {
      try files.moveItem(at: old, to: target)
      throw error
    }
    try files.removeItem(at: old)
  }

  private static func reporting(_ place: URL, _ body: () throws -> Void) throws(ApusError) {
    do { try body() } catch {
      throw ApusError(
        .fileAccess, at: place.path, "the folder or file cannot be written",
        remedy: "Check that you may write there and that space is left", cause: error)
    }
  }
}

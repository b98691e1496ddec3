package import ApusBase
package import Foundation

/// A file that is written from its beginning to its end and then brought to the disk.
package final class DurableFile {
  private let url: URL
  private let descriptor: Int32
  /// Bytes written so far.
  private(set) var count = 0

  /// Makes the file, or empties it.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be made.
  init(_ url: URL) throws(ApusError) {
    self.url = url
    descriptor = open(url.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .cannotWrite(url.path, errno) }
  }

  deinit { close(descriptor) }

  /// Appends bytes; throws `.fileAccess`, for instance if the disk is full.
  func append(_ bytes: Data) throws(ApusError) {
    let failure = bytes.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) -> Int32 in
      var rest = buffer[...]
      while !rest.isEmpty {
        let slice = UnsafeRawBufferPointer(rebasing: rest)
        let written = Foundation.write(descriptor, slice.baseAddress, slice.count)
        if written < 0, errno == EINTR { continue }
        guard written > 0 else { return errno }
        rest = rest.dropFirst(written)
      }
      return 0
    }
    guard failure == 0 else { throw .cannotWrite(url.path, failure) }
    count += bytes.count
  }

  /// Waits until the disk has everything.
  func synchronize() throws(ApusError) {
    guard fsync(descriptor) == 0 else { throw .cannotWrite(url.path, errno) }
  }

  /// Takes the file's name away: it lives on until this value is gone.
  func unlink() { Foundation.unlink(url.path) }

  /// Some of the file's bytes.
  func read(_ range: Range<Int>) throws(ApusError) -> Data {
    var bytes = Data(count: range.count)
    let failure = bytes.withUnsafeMutableBytes { (buffer: UnsafeMutableRawBufferPointer) -> Int32 in
      var done = 0
      while done < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        let count = pread(descriptor, rest.baseAddress, rest.count, off_t(range.lowerBound + done))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return count < 0 ? errno : EIO }
        done += count
      }
      return 0
    }
    guard failure == 0 else {
      throw ApusError(
        .fileAccess, at: url.path,
        "bytes \(range) cannot be read (\(String(cString: strerror(failure))))",
        remedy: "Check the disk, and resume the run")
    }
    return bytes
  }

  /// Some of a file's bytes.
  static func read(_ range: Range<Int>, of url: URL) throws(ApusError) -> Data {
    do {
      let file = try FileHandle(forReadingFrom: url)
      defer { try? file.close() }
      try file.seek(toOffset: UInt64(range.lowerBound))
      var bytes = Data()
      while bytes.count < range.count,
        let part = try file.read(upToCount: range.count - bytes.count), !part.isEmpty
      { bytes.append(part) }
      guard bytes.count == range.count else { throw CocoaError(.fileReadCorruptFile) }
      return bytes
    } catch {
      throw ApusError(
        .fileAccess, at: url.path, "bytes \(range) cannot be read",
        remedy: "Restore the run's folder from a copy, or start the run anew", cause: error)
    }
  }

  /// Writes a file whole: a reader sees all of it or what was there before.
  package static func write(_ bytes: Data, to url: URL) throws(ApusError) {
    let draft = url.appendingPathExtension("draft")
    do throws(ApusError) {
      let file = try DurableFile(draft)
      try file.append(bytes)
      try file.synchronize()
      guard rename(draft.path, url.path) == 0 else { throw .cannotWrite(url.path, errno) }
      try synchronize(folder: url.deletingLastPathComponent())
    } catch {
      Foundation.unlink(draft.path)
      throw error
    }
  }

  /// Makes a folder, if it is not there yet.
  package static func makeFolder(_ url: URL) throws(ApusError) {
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the folder cannot be made",
        remedy: "Check that you may write there and that space is left", cause: error)
    }
  }

  /// Brings the names in a folder to the disk.
  static func synchronize(folder: URL) throws(ApusError) {
    let descriptor = open(folder.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .cannotWrite(folder.path, errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .cannotWrite(folder.path, errno) }
  }
}

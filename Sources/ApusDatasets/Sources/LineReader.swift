import ApusBase
import Foundation

/// The bytes of a file or pipe, one chunk in memory at a time.
struct ByteReader {
  private let handle: FileHandle
  private let name: String
  private var chunk: [UInt8] = []
  private var position = 0
  private var isAtEnd = false

  /// Reads from an open handle, such as the output of a process; `name` is used in errors.
  init(handle: FileHandle, name: String) {
    self.handle = handle
    self.name = name
  }

  /// Opens a file.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if it is missing, a folder, or not readable.
  init(file: URL) throws(ApusError) {
    let name = file.relativePath
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder) else {
      throw ApusError(
        .fileAccess, at: name, "there is no such file", remedy: "Check the path of the data")
    }
    guard !isFolder.boolValue else {
      throw ApusError(
        .fileAccess, at: name, "this is a folder, not a file", remedy: "Name a file inside it")
    }
    do { self.init(handle: try FileHandle(forReadingFrom: file), name: name) } catch {
      throw ApusError(
        .fileAccess, at: name, "the file cannot be opened",
        remedy: "Check that you may read it", cause: error)
    }
  }

  /// The bytes of the current chunk that were not taken yet, reading the next chunk if there are
  /// none; empty only at the end.
  mutating func available() throws(ApusError) -> ArraySlice<UInt8> {
    if position == chunk.count, !isAtEnd {
      do { chunk = Array(try handle.read(upToCount: 1 << 16) ?? Data()) } catch {
        throw ApusError(
          .fileAccess, at: name, "reading failed half-way", remedy: "Check the disk and try again",
          cause: error)
      }
      position = 0
      isAtEnd = chunk.isEmpty
    }
    return chunk[position...]
  }

  /// Takes the first `count` of the ``available()`` bytes.
  mutating func take(_ count: Int) { position += count }

  /// The next byte without taking it; nil at the end.
  mutating func peek() throws(ApusError) -> UInt8? {
    if position < chunk.count { return chunk[position] }
    return try available().first
  }

  /// The next byte; nil at the end.
  mutating func next() throws(ApusError) -> UInt8? {
    guard let byte = try peek() else { return nil }
    position += 1
    return byte
  }
}

/// The lines of a file or pipe; memory holds one chunk and one line.
struct LineReader {
  /// Bytes of a line beyond which it is reported instead of kept.
  static let longestLine = 1 << 24

  /// A line without its line feed (and the carriage return before it).
  struct Line {
    /// Number of the line; the first is 1.
    let number: Int
    /// The bytes, not yet checked to be UTF-8; cut if the line is too long.
    var bytes: [UInt8] = []
    /// Whether the line has more than ``LineReader/longestLine`` bytes.
    var isTooLong = false
  }

  private var bytes: ByteReader
  private var count = 0

  init(_ bytes: ByteReader) { self.bytes = bytes }

  /// The next line; nil at the end.
  ///
  /// A byte-order mark before the first line is dropped.
  mutating func next() throws(ApusError) -> Line? {
    guard try bytes.peek() != nil else { return nil }
    count += 1
    var line = Line(number: count)
    while true {
      let available = try bytes.available()
      let end = available.firstIndex(of: UInt8(ascii: "\n"))
      let part = available[..<(end ?? available.endIndex)]
      bytes.take(part.count + (end == nil ? 0 : 1))
      if line.bytes.count + part.count > Self.longestLine {
        line.isTooLong = true
      } else {
        line.bytes += part
      }
      if end != nil || available.isEmpty { break }
    }
    if line.bytes.last == UInt8(ascii: "\r") { line.bytes.removeLast() }
    if count == 1, line.bytes.starts(with: byteOrderMark) { line.bytes.removeFirst(3) }
    return line
  }
}

/// The three bytes that some editors put before UTF-8 text.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

import ApusBase
package import Foundation

/// What goes between a run and clients elsewhere: through a pipe, or inside messages of Flower.
///
/// A frame is a small JSON head and a few byte strings, encoded messages and snapshots. In a pipe each
/// has its length in front: u32 number of parts, then u64 length and bytes of each, little-endian. The
/// first part is the head.
package struct WorkerFrame: Sendable {
  package let head: Data
  package let parts: [Data]

  package init(head: Data, parts: [Data]) {
    self.head = head
    self.parts = parts
  }

  init(head: some Encodable, parts: [Data]) throws {
    self.init(head: try JSONEncoder().encode(head), parts: parts)
  }

  /// Reads a frame; nil if the other side has closed the pipe between frames.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if the pipe ends or makes no sense within a frame.
  init?(from pipe: FileHandle) throws {
    guard let count = try Self.bytes(4, from: pipe, mayEnd: true) else { return nil }
    var all: [Data] = []
    for _ in 0..<Int(count.littleEndianInteger) {
      let length = try Self.bytes(8, from: pipe) ?? Data()
      guard let size = Int(exactly: length.littleEndianInteger), size < 1 << 40 else {
        throw Self.broken("a part of impossible length")
      }
      all.append(try Self.bytes(size, from: pipe) ?? Data())
    }
    guard let head = all.first else { throw Self.broken("no head") }
    self.head = head
    parts = Array(all.dropFirst())
  }

  func write(to pipe: FileHandle) throws {
    var bytes = withUnsafeBytes(of: UInt32(parts.count + 1).littleEndian) { Data($0) }
    for part in [head] + parts {
      bytes.append(withUnsafeBytes(of: UInt64(part.count).littleEndian) { Data($0) })
      bytes.append(part)
    }
    try pipe.write(contentsOf: bytes)
  }

  /// The head as a value of this type.
  func decoded<Head: Decodable>(_ type: Head.Type) throws -> Head {
    do { return try JSONDecoder().decode(type, from: head) } catch {
      throw Self.broken("a head that cannot be read")
    }
  }

  /// The part at this place.
  func part(_ index: Int) throws -> Data {
    guard parts.indices.contains(index) else { throw Self.broken("too few parts") }
    return parts[index]
  }

  private static func bytes(
    _ count: Int, from pipe: FileHandle, mayEnd: Bool = false
  ) throws -> Data? {
    var bytes = Data()
    while bytes.count < count {
      guard let more = try pipe.read(upToCount: count - bytes.count), !more.isEmpty else {
        if mayEnd, bytes.isEmpty { return nil }
        throw broken("an early end")
      }
      bytes.append(more)
    }
    return bytes
  }

  private static func broken(_ what: String) -> ApusError {
    ApusError(
      .invalidMessage, at: "worker process", "its pipe holds \(what)",
      remedy: "Use one version of Apus on both sides, and keep other output off the pipe")
  }
}

extension Data {
  /// The bytes as an unsigned number, the least significant first.
  fileprivate var littleEndianInteger: UInt64 {
    reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

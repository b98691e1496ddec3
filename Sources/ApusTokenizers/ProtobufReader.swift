import ApusBase
import Foundation

/// The fields of a protobuf message, read one after the other.
///
/// - Source: Protocol Buffers, "Encoding": a field is a key and, by its wire type, a number of
///   variable or fixed length or a run of bytes.
struct ProtobufReader {
  enum Value {
    case number(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  private var bytes: ArraySlice<UInt8>
  private let place: String

  init(_ bytes: ArraySlice<UInt8>, at place: String) {
    self.bytes = bytes
    self.place = place
  }

  /// The next field's number and value, or nil at the end.
  mutating func next() throws(ApusError) -> (field: Int, value: Value)? {
    guard !bytes.isEmpty else { return nil }
    let key = try varint()
    let field = Int(truncatingIfNeeded: key >> 3)
    switch key & 7 {
    case 0: return (field, .number(try varint()))
    case 1: return (field, .number(try take(8)))
    case 2:
      let length = try varint()
      guard length <= UInt64(bytes.count) else { throw broken() }
      let content = bytes.prefix(Int(length))
      bytes.removeFirst(Int(length))
      return (field, .bytes(content))
    case 5: return (field, .fixed32(UInt32(truncatingIfNeeded: try take(4))))
    default: throw broken()
    }
  }

  private mutating func varint() throws(ApusError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = bytes.popFirst() else { throw broken() }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw broken()
  }

  /// A number of `count` bytes, the lowest first.
  private mutating func take(_ count: Int) throws(ApusError) -> UInt64 {
    guard bytes.count >= count else { throw broken() }
    let value = bytes.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    bytes.removeFirst(count)
    return value
  }

  private func broken() -> ApusError {
    ApusError(
      .invalidFile, at: place, "this is no protobuf message, or it ends too early",
      remedy: "Restore the file from its source")
  }
}

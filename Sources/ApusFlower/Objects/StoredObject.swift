import ApusBase
import Crypto
import Foundation

/// One object of Flower's store: a type, the ids of its children, a body.
///
/// Its bytes: ASCII head `<type> <child ids joined by commas> <length of the body>`, a zero byte, the
/// body. The id is the SHA-256 of all of them, so equal parts of messages are stored once.
struct StoredObject: Sendable {
  /// The types that the store knows.
  enum Kind: String {
    case message = "Message"
    case recordDict = "RecordDict"
    case arrayRecord = "ArrayRecord"
    case array = "Array"
    case arrayChunk = "ArrayChunk"
    case metricRecord = "MetricRecord"
    case configRecord = "ConfigRecord"
  }

  let kind: Kind
  /// Distinct ids, in the order of first use.
  let children: [String]
  let body: Data
  /// Lowercase hexadecimal SHA-256.
  let id: String

  init(_ kind: Kind, children: [String] = [], body: Data) {
    self.kind = kind
    var seen: Set<String> = []
    self.children = children.filter { seen.insert($0).inserted }
    self.body = body
    var hash = SHA256()
    hash.update(data: Self.head(kind, self.children, body.count))
    hash.update(data: body)
    id = hash.finalize().hexadecimal
  }

  /// What is stored; made when it is needed, since bodies are large and shared.
  var bytes: Data { Self.head(kind, children, body.count) + body }

  /// Reads an object.
  ///
  /// - Parameters:
  ///   - bytes: What the store gave.
  ///   - id: What it was asked for.
  /// - Throws: ``ApusError`` `.invalidMessage` if the bytes have another hash or are no object.
  init(_ bytes: Data, id: String) throws(ApusError) {
    guard SHA256.hash(data: bytes).hexadecimal == id else {
      throw Self.error(id, "its bytes have another SHA-256")
    }
    guard let divider = bytes.firstIndex(of: 0) else { throw Self.error(id, "it has no head") }
    let head = String(decoding: bytes[..<divider], as: UTF8.self)
    let parts = head.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])) else {
      throw Self.error(id, "its head is \"\(head.prefix(80))\"")
    }
    let body = bytes[bytes.index(after: divider)...]
    guard Int(parts[2]) == body.count else { throw Self.error(id, "its body is cut short") }
    self.kind = kind
    children = parts[1].split(separator: ",").map(String.init)
    self.body = body
    self.id = id
  }

  static func error(_ id: String, _ problem: String) -> ApusError {
    ApusError(
      .invalidMessage, at: "Flower object \(id.prefix(12))…", problem,
      remedy: "Use a version of Flower that Apus was tested with, and send the message again")
  }

  private static func head(_ kind: Kind, _ children: [String], _ count: Int) -> Data {
    Data("\(kind.rawValue) \(children.joined(separator: ",")) \(count)\0".utf8)
  }
}

extension Sequence<UInt8> {
  /// Two lowercase hexadecimal digits for each byte.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in self { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }
}

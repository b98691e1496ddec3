internal import ApusBase
internal import Foundation

/// The table of contents of one safetensors file, checked against the length of its data.
///
/// A file is: the header's length (8 bytes, little-endian), the header (JSON), the data. Everything
/// a reader could trip over is refused here, so that a view into the data needs no further check.
///
/// - Source: the format's reference reader, huggingface/safetensors, `SafeTensors::deserialize`.
struct SafetensorsHeader: Sendable {
  /// Where one tensor lies in the data and how to read it.
  struct Entry: Sendable {
    let dtype: DType
    let shape: [Int]
    /// Bytes from the beginning of the data, behind the header.
    let range: Range<Int>
  }

  let entries: [String: Entry]
  let metadata: [String: String]
  /// Bytes before the data: the length and the header itself.
  let dataStart: Int

  /// Key of the free text that is not a tensor.
  static let metadataKey = "__metadata__"
  /// Longest header that readers accept, in bytes.
  private static let limit = 100_000_000

  /// Reads and checks the header at the beginning of a whole file's bytes.
  init(parsing file: UnsafeRawBufferPointer, name: String) throws(ApusError) {
    let json = try Self.json(in: file, name: name)
    let lexed = Self.lexed(json)
    guard lexed.depth <= 8 else {
      throw Self.invalid(name, "the header is nested \(lexed.depth) levels deep, 3 are expected")
    }
    let root = try JSONNode(parsing: Data(json), file: name)
    dataStart = 8 + json.count
    metadata = try Self.metadata(of: root)
    let dataCount = file.count - dataStart

    var entries: [String: Entry] = [:]
    var keyCount = metadata.count
    // In the order of names, so that of two errors the same one is reported every time.
    for (tensor, node) in try root.dictionary().sorted(by: { $0.key < $1.key }) {
      keyCount += 1
      guard tensor != Self.metadataKey else { continue }
      keyCount += try node.dictionary().count
      entries[tensor] = try Self.entry(node, tensor: tensor, name: name, dataCount: dataCount)
    }
    // The parser keeps one of two equal keys; every key has its colon.
    guard keyCount == lexed.colons else {
      throw Self.invalid(name, "a key occurs twice in the header, or an unknown object is in it")
    }
    self.entries = entries
    try checkCoverage(of: dataCount, name: name)
  }

  /// The header's bytes, once its length is plausible.
  private static func json(
    in file: UnsafeRawBufferPointer, name: String
  ) throws(ApusError) -> UnsafeRawBufferPointer {
    guard file.count >= 8 else {
      throw invalid(name, "the file has \(file.count) bytes, too few for a header")
    }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= limit else {
      throw invalid(name, "the header claims \(length) bytes, at most \(limit) are allowed")
    }
    guard length <= file.count - 8 else {
      throw invalid(
        name, "the header claims \(length) bytes, the file has \(file.count - 8) after its length")
    }
    let json = UnsafeRawBufferPointer(rebasing: file[8..<(8 + Int(length))])
    guard json.first == UInt8(ascii: "{") else {
      throw invalid(name, "the header does not begin with \"{\"")
    }
    return json
  }

  /// Deepest nesting of brackets and number of colons, both outside of strings.
  private static func lexed(_ json: UnsafeRawBufferPointer) -> (depth: Int, colons: Int) {
    var (depth, deepest, colons) = (0, 0, 0)
    var (inString, escaped) = (false, false)
    for byte in json {
      if inString {
        if !escaped, byte == UInt8(ascii: "\"") { inString = false }
        escaped = !escaped && byte == UInt8(ascii: "\\")
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): inString = true
      case UInt8(ascii: ":"): colons += 1
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
    }
    return (deepest, colons)
  }

  private static func metadata(of root: JSONNode) throws(ApusError) -> [String: String] {
    let node = root[metadataKey]
    guard node.exists else { return [:] }
    var texts: [String: String] = [:]
    for (key, value) in try node.dictionary() { texts[key] = try value.string() }
    return texts
  }

  private static func entry(
    _ node: JSONNode, tensor: String, name: String, dataCount: Int
  ) throws(ApusError) -> Entry {
    let place = "\(name), tensor \"\(tensor)\""
    let spelling = try node["dtype"].string()
    guard let dtype = Safetensors.dtypes[spelling] else {
      throw ApusError(
        .unsupported, at: place, "its elements are of type \(spelling)",
        remedy: "Store it as one of \(Safetensors.dtypes.keys.sorted().joined(separator: ", "))")
    }
    var shape: [Int] = []
    for length in try node["shape"].array() { shape.append(try length.int()) }
    guard shape.allSatisfy({ $0 >= 0 }) else {
      throw invalid(place, "its shape \(shape) has a negative length")
    }
    let offsets = try node["data_offsets"].array()
    guard offsets.count == 2 else {
      throw invalid(place, "data_offsets has \(offsets.count) numbers, 2 are expected")
    }
    let (begin, end) = (try offsets[0].int(), try offsets[1].int())
    guard 0 <= begin, begin <= end, end <= dataCount else {
      throw invalid(place, "its bytes \(begin)..<\(end) are not within the data's \(dataCount)")
    }
    guard dtype.byteCount(of: shape) == end - begin else {
      throw invalid(place, "shape \(shape) of \(spelling) does not fill \(end - begin) bytes")
    }
    return Entry(dtype: dtype, shape: shape, range: begin..<end)
  }

  /// The tensors, one behind the other, are the whole data: no overlap, no hole, no rest.
  private func checkCoverage(of dataCount: Int, name: String) throws(ApusError) {
    let ordered = entries.sorted {
      ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
        < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
    }
    var end = 0
    for (tensor, entry) in ordered {
      let begin = entry.range.lowerBound
      guard begin == end else {
        let found = begin < end ? "overlaps the tensor before it" : "leaves a hole before it"
        throw Self.invalid("\(name), tensor \"\(tensor)\"", "it begins at \(begin) and \(found)")
      }
      end = entry.range.upperBound
    }
    guard end == dataCount else {
      throw Self.invalid(name, "the tensors have \(end) bytes, the data has \(dataCount)")
    }
  }

  private static func invalid(_ place: String, _ problem: String) -> ApusError {
    ApusError(
      .invalidFile, at: place, problem, remedy: "Download or write the file again; it is damaged")
  }
}

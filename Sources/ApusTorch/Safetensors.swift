public import ApusBase
public import Foundation

/// Writes safetensors, the format in which Apus and Hugging Face keep and send tensors.
public enum Safetensors {
  /// The format's name of each element type.
  static let dtypes: [String: DType] = [
    "F64": .float64, "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I64": .int64,
    "I32": .int32, "I16": .int16, "I8": .int8, "U8": .uint8, "BOOL": .bool,
  ]
  private static let spellings: [DType: String] = Dictionary(
    uniqueKeysWithValues: dtypes.map { ($1, $0) })

  /// The bytes of a file with these tensors; the same tensors give the same bytes.
  ///
  /// Wide elements come first, then by name, so that a reader finds every tensor aligned.
  ///
  /// - Parameters:
  ///   - tensors: In any order; each name once.
  ///   - metadata: Text to keep beside them.
  /// - Returns: The file's bytes.
  /// - Throws: ``ApusError`` `.invalidData` if a name occurs twice or a tensor is undefined.
  public static func encode(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:]
  ) throws(ApusError) -> Data {
    let ordered = try ordered(tensors)
    var bytes = header(of: ordered, metadata)
    bytes.reserveCapacity(bytes.count + ordered.reduce(0) { $0 + $1.tensor.byteCount })
    for (name, tensor) in ordered {
      try tensor.withUnsafeBytes { (elements) throws(ApusError) in
        try check(elements, of: tensor, name)
        bytes.append(contentsOf: elements)
      }
    }
    return bytes
  }

  /// Writes a file with these tensors; a reader sees the whole new file or the old one.
  ///
  /// - Parameters:
  ///   - tensors: In any order; each name once.
  ///   - metadata: Text to keep beside them.
  ///   - url: The file to make or to replace; its folder exists.
  /// - Throws: ``ApusError`` `.invalidData` as for encode, `.fileAccess` if it cannot be written.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to url: URL
  ) throws(ApusError) {
    let ordered = try ordered(tensors)
    let file = try AtomicFile(replacing: url)
    try file.write(header(of: ordered, metadata))
    for (name, tensor) in ordered {
      try tensor.withUnsafeBytes { (elements) throws(ApusError) in
        try check(elements, of: tensor, name)
        try file.write(elements)
      }
    }
    try file.commit()
  }

  /// The tensors in the order of the file, once their names and elements are in order.
  private static func ordered(
    _ tensors: [(name: String, tensor: Tensor)]
  ) throws(ApusError) -> [(name: String, tensor: Tensor)] {
    var seen: Set<String> = []
    for (name, tensor) in tensors {
      let place = "tensor \"\(name)\""
      guard tensor.isDefined else {
        try Tensor.check(place)
        throw ApusError(
          .invalidData, at: place, "it has no elements to write",
          remedy: "Check for a failed operation before writing")
      }
      guard name != SafetensorsHeader.metadataKey, seen.insert(name).inserted else {
        throw ApusError(
          .invalidData, at: place, "its name is used twice or reserved",
          remedy: "Give every tensor a name of its own")
      }
    }
    return tensors.sorted {
      ($1.tensor.dtype.byteCount, $0.name) < ($0.tensor.dtype.byteCount, $1.name)
    }
  }

  /// A copy from a device can fail; then there are no bytes.
  private static func check(
    _ elements: UnsafeRawBufferPointer, of tensor: Tensor, _ name: String
  ) throws(ApusError) {
    guard elements.count != tensor.byteCount else { return }
    try Tensor.check("tensor \"\(name)\"")
  }

  /// Length and header, padded with spaces so that the data begins at a multiple of 8.
  private static func header(
    of tensors: [(name: String, tensor: Tensor)], _ metadata: [String: String]
  ) -> Data {
    var members: [String] = []
    if !metadata.isEmpty {
      let texts = metadata.sorted { $0.key < $1.key }
        .map { "\(quoted($0.key)):\(quoted($0.value))" }
      members.append("\"\(SafetensorsHeader.metadataKey)\":{\(texts.joined(separator: ","))}")
    }
    var end = 0
    for (name, tensor) in tensors {
      let begin = end
      end += tensor.byteCount
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let dtype = spellings[tensor.dtype] ?? ""
      members.append(
        "\(quoted(name)):{\"dtype\":\"\(dtype)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(begin),\(end)]}")
    }
    var json = Data("{\(members.joined(separator: ","))}".utf8)
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: -json.count & 7))
    var bytes = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
    bytes.append(json)
    return bytes
  }

  /// What to do about a tensor that a file lacks.
  static func remedy(for missing: String, in names: [String]) -> String {
    let meant = Spelling.suggestion(for: missing, in: names).map { "Did you mean \"\($0)\"? " }
    return "\(meant ?? "")Take weights and configuration from one revision"
  }

  /// The text as a JSON string.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\0"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// A file with this header and so many bytes of data.
private func file(_ header: String, data: Int = 8) -> Data {
  let json = Data(header.utf8)
  return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
    + Data(repeating: 1, count: data)
}

private func tensor(_ fields: String) -> String { "{\"a\":{\(fields)}}" }

/// A header, and a word of the reason why it is refused.
private let malformed: [(header: String, reason: String)] = [
  ("", "header"), ("[]", "begin"), ("{", "JSON"), ("{} x", "JSON"), ("{\"a\":1}", "object"),
  ("{\"__metadata__\":{\"k\":1}}", "string"), ("{\"__metadata__\":[]}", "object"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2]"), "array"),
  (tensor("\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]"), "string"),
  (tensor("\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]"), "F8_E4M3"),
  (tensor("\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]"), "f32"),
  (tensor("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), "fill"),
  (tensor("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), "negative"),
  (tensor("\"dtype\":\"F32\",\"shape\":[-1,-2],\"data_offsets\":[0,8]"), "negative"),
  (tensor("\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]"), "whole"),
  (tensor("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,8]"), "whole"),
  (tensor("\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,8]"), "whole"),
  (tensor("\"dtype\":\"F32\",\"shape\":[9223372036854775807,8],\"data_offsets\":[0,8]"), "fill"),
  (tensor("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]"), "whole"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]"), "3 numbers"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"), "within"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]"), "within"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]"), "within"),
  (tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), "hole"),
  (tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), "data has 8"),
  (tensor("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), "twice"),
  (tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":{\"y\":1}"), "object"),
  (
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      + "\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "twice"
  ),
  (
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "overlaps"
  ),
  ("{\"a\":" + String(repeating: "[", count: 100_000), "nested"),
  (
    "{\"a\":" + String(repeating: "{\"a\":", count: 20) + "1" + String(repeating: "}", count: 21),
    "nested"
  ),
  ("{\"ü\u{0}\":\"\u{7F}\"", "JSON"),
]

@Suite struct MalformedSafetensorsLaws {
  @Test func `the smallest files are valid`() throws {
    #expect(try SafetensorsFile(decoding: file("{}", data: 0), name: "f").names.isEmpty)
    let plain = tensor("\"dtype\":\"U8\",\"shape\":[2,4],\"data_offsets\":[0,8]")
    #expect(try SafetensorsFile(decoding: file(plain), name: "f").tensor("a").sum().item == 8)
  }

  @Test(arguments: malformed)
  func `a malformed header is refused with the file's name and the reason`(
    header: String, reason: String
  ) {
    let error = #expect(throws: ApusError.self) {
      try SafetensorsFile(decoding: file(header), name: "a.safetensors")
    }
    #expect(error?.description.hasPrefix("a.safetensors") == true)
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
  }

  @Test(arguments: [
    Data(), Data([1, 2, 3]), Data(repeating: 0xFF, count: 64),
    Data([0, 0xE1, 0xF5, 5, 0, 0, 0, 0x7F]), Data([9, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D]),
  ])
  func `an impossible header length is refused`(bytes: Data) {
    #expect(throws: ApusError.self) { try SafetensorsFile(decoding: bytes, name: "f") }
  }

  @Test func `a truth value other than 0 and 1 is refused`() throws {
    var bytes = try Safetensors.encode([("a", Tensor.ones([3], dtype: .bool))])
    bytes[bytes.count - 1] = 2
    let file = try SafetensorsFile(decoding: bytes, name: "f")
    #expect(throws: ApusError.self) { try file.tensor("a") }
  }

  @Test func `misaligned tensors are copied, not refused`() throws {
    let header =
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      + "\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[1,9]}}"
    let file = try SafetensorsFile(decoding: file(header, data: 9), name: "f")
    #expect(try file.tensor("b").ints == [0x0101_0101_0101_0101])
  }

  @Test func `an unknown tensor is answered with the likely name`() throws {
    let bytes = try Safetensors.encode([("encoder.weight", Tensor.ones([1]))])
    let file = try SafetensorsFile(decoding: bytes, name: "f")
    let error = #expect(throws: ApusError.self) { try file.tensor("encoder.weigth") }
    #expect(error?.code == .checkpointMismatch)
    #expect(error?.remedy.contains("encoder.weight") == true)
  }

  @Test(arguments: ["/dev/null", "/tmp", "/nowhere/a.safetensors"])
  func `what is not a regular file is refused`(path: String) {
    let error = #expect(throws: ApusError.self) {
      try SafetensorsFile(contentsOf: URL(filePath: path))
    }
    #expect(error?.code == .fileAccess)
  }

  @Test func `an empty file and a named pipe are refused at once`() throws {
    try withTemporaryFolder { folder in
      let empty = folder.appending(path: "empty")
      try Data().write(to: empty)
      #expect(throws: ApusError.self) { try SafetensorsFile(contentsOf: empty) }
      let pipe = folder.appending(path: "pipe")
      #expect(mkfifo(pipe.path, 0o600) == 0)
      #expect(throws: ApusError.self) { try SafetensorsFile(contentsOf: pipe) }
    }
  }

  @Test(arguments: 0..<600 as Range<UInt64>)
  func `a mutated file opens with readable tensors or is refused`(seed: UInt64) throws {
    var stream = RandomStream(seed: seed)
    let whole = try Safetensors.encode(
      [
        ("encoder.weight", Tensor.ones([2, 3])), ("ids", Tensor.range(0, 4)),
        ("mask", Tensor.ones([5], dtype: .bool)), ("half", Tensor.zeros([3], dtype: .bfloat16)),
      ], metadata: ["format": "pt"])
    var bytes = whole
    for _ in 0...stream.integer(below: 3) where !bytes.isEmpty {
      let place = stream.integer(below: bytes.count)
      switch stream.integer(below: 5) {
      case 0: bytes[place] ^= 1 << UInt8(stream.integer(below: 8))
      case 1: bytes[place] = UInt8(stream.integer(below: 256))
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(UInt8(ascii: "9"), at: place)
      default: bytes = bytes.prefix(max(1, place))
      }
    }
    do {
      let file = try SafetensorsFile(decoding: bytes, name: "fuzzed")
      for name in file.names { #expect(try file.tensor(name).isDefined) }
    } catch {
      #expect(error.description.contains("fuzzed"))
    }
    try Tensor.check()
  }
}

import ApusBase
import ApusCore
import ApusTorch
import Foundation
import Testing

private func encodedMessage() throws -> Data {
  try Message(
    tensors: NamedTensors([
      "a": Tensor.ones([2, 3]), "ids": Tensor.range(0, 3), "mask": Tensor.ones([5], dtype: .bool),
    ]),
    fields: ["samples": .int(3), "loss": .double(0.5), "note": .string("n")]
  ).encoded()
}

/// Decodes what may be anything: a message that can be used, or the one error there is for it.
private func expectMessageOrRefusal(_ bytes: Data, _ name: String) throws {
  do {
    let message = try Message(encoded: bytes, at: "round 1, client 2")
    for (_, tensor) in message.tensors { #expect(tensor.isDefined, "\(name)") }
    _ = try message.encoded()
  } catch {
    #expect(error.code == .invalidMessage, "\(name): \(error)")
    #expect(error.location.hasPrefix("round 1, client 2"), "\(name): \(error)")
  }
  try Tensor.check()
}

@Suite struct MalformedMessageLaws {
  @Test func `a message that was cut off anywhere is refused`() throws {
    let bytes = try encodedMessage()
    for count in 0..<bytes.count {
      let error = #expect(throws: ApusError.self, "\(count) bytes") {
        try Message(encoded: bytes.prefix(count), at: "here")
      }
      #expect(error?.code == .invalidMessage)
    }
    #expect(throws: ApusError.self) { try Message(encoded: bytes + [0], at: "here") }
  }

  @Test(arguments: 0..<500 as Range<UInt64>)
  func `flipped bits give another message or a refusal`(seed: UInt64) throws {
    var stream = RandomStream(seed: seed)
    var bytes = try encodedMessage()
    for _ in 0...stream.integer(below: 4) {
      let place = stream.integer(below: bytes.count)
      bytes[place] ^= 1 << UInt8(stream.integer(below: 8))
    }
    try expectMessageOrRefusal(bytes, "seed \(seed)")
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `random bytes, behind a plausible beginning or not, are refused`(seed: UInt64) throws {
    var stream = RandomStream(seed: seed)
    let count = stream.integer(below: 200)
    let noise = Data((0..<count).map { _ in UInt8(stream.integer(below: 256)) })
    try expectMessageOrRefusal(noise, "seed \(seed)")
    let valid = try encodedMessage()
    try expectMessageOrRefusal(
      valid.prefix(stream.integer(below: valid.count)) + noise, "seed \(seed)")
  }

  @Test func `messages and snapshots are not taken for each other`() throws {
    let message = try Message(fields: ["x": .int(1)]).encoded()
    let snapshot = try Snapshot(fields: ["x": .int(1)]).encoded()
    let error = #expect(throws: ApusError.self) { try Message(encoded: snapshot, at: "here") }
    #expect(error?.code == .invalidMessage)
    #expect(error?.problem.contains("snapshot") == true)
    #expect(throws: ApusError.self) { try Snapshot(encoded: message, at: "here") }
  }

  @Test(arguments: ["message/2", "message", "", "Message/1", nil])
  func `another version is refused with what was found`(version: String?) throws {
    let metadata = version.map { ["apus": $0] } ?? [:]
    let bytes = try Safetensors.encode([("x", Tensor.ones([1]))], metadata: metadata)
    let error = #expect(throws: ApusError.self) { try Message(encoded: bytes, at: "here") }
    #expect(error?.code == .invalidMessage)
    #expect(error?.problem.contains("\"\(version ?? "nothing")\"") == true)
  }

  @Test func `an impossible tensor is refused as a message, whatever is wrong with it`() throws {
    for field in ["F8_E4M3", "F32"] {
      let header =
        "{\"__metadata__\":{\"apus\":\"message/1\"},"
        + "\"x\":{\"dtype\":\"\(field)\",\"shape\":[0,9223372036854775807,2],"
        + "\"data_offsets\":[0,0]}}"
      let json = Data(header.utf8)
      let bytes = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
      let error = #expect(throws: ApusError.self) { try Message(encoded: bytes, at: "here") }
      #expect(error?.code == .invalidMessage)
      try Tensor.check()
    }
  }
}

import ApusBase
import ApusCore
import ApusTorch
import Foundation
import Testing

/// A message with tensors of every type, and of every odd shape.
private func drawnMessage(seed: UInt64 = 1) -> Message {
  var stream = RandomStream(seed: seed)
  var tensors: [String: Tensor] = [:]
  for dtype in DType.allCases {
    tensors["of \(dtype)"] = (drawn([3, 2], &stream) * 50).to(dtype)
  }
  tensors["scalar"] = Tensor.full([], 7)
  tensors["empty"] = Tensor.zeros([2, 0, 3])
  tensors["transposed"] = drawn([2, 5], &stream).matrixTransposed
  tensors["on a graph"] = drawn([4], &stream).requiringGradient() * 2
  tensors["encoder.layer.0.ü/\"lora_A\".weight"] = Tensor(
    [.nan, -0, .infinity, .leastNonzeroMagnitude] as [Float], shape: [4])
  return Message(
    tensors: NamedTensors(tensors),
    fields: ["samples": .int(12), "loss": .double(.nan), "note": .string("a\nb")])
}

@Suite struct MessageLaws {
  @Test func `tensors of every type and shape come back to the last bit`() throws {
    let sent = drawnMessage()
    let received = try Message(encoded: sent.encoded(), at: "here")
    #expect(received.tensors.isIdentical(to: sent.tensors))
    #expect(received.sampleCount == 12)
    #expect(received.fields.keys.sorted() == sent.fields.keys.sorted())
    let snapshot = Snapshot(tensors: sent.tensors, fields: sent.fields)
    let restored = try Snapshot(encoded: snapshot.encoded(), at: "here")
    #expect(restored.tensors.isIdentical(to: sent.tensors))
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the order in which a message was made leaves no trace in its bytes`(seed: UInt64) throws {
    let message = drawnMessage()
    var stream = RandomStream(seed: seed)
    var other = Message()
    for name in stream.shuffled(message.tensors.names) {
      other.tensors[name] = message.tensors[name]?.cloned()
    }
    for name in stream.shuffled(message.fields.keys.sorted()) {
      other.fields[name] = message.fields[name]
    }
    #expect(try message.encoded() == other.encoded())
    #expect(try Message(encoded: message.encoded(), at: "here").encoded() == message.encoded())
  }

  @Test func `the encoding is a header and the elements, and no byte more`() throws {
    let message = drawnMessage()
    let bytes = try message.encoded()
    let header = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let elements = message.tensors.reduce(0) { $0 + $1.tensor.byteCount }
    #expect(bytes.count == 8 + header + elements)
    #expect(try SafetensorsFile(decoding: bytes, name: "m").names == message.tensors.names)
  }

  @Test func `sender and receiver share no memory`() throws {
    let mine = Tensor([1, 2, 3] as [Float], shape: [3])
    let bytes = try Message(tensors: NamedTensors(["x": mine])).encoded()
    let first = try #require(try Message(encoded: bytes, at: "first").tensors["x"])
    let second = try #require(try Message(encoded: bytes, at: "second").tensors["x"])
    mine.fillInPlace(-1)
    #expect(first.floats == [1, 2, 3])
    first.fillInPlace(9)
    #expect(second.floats == [1, 2, 3])
    #expect(mine.floats == [-1, -1, -1])
    #expect(try Message(encoded: bytes, at: "third").tensors["x"]?.floats == [1, 2, 3])
  }

  @Test func `a failed operation cannot be sent`() throws {
    let failed = matmul(Tensor.ones([2, 3]), Tensor.ones([2, 3]))
    #expect(throws: ApusError.self) { try Message(tensors: NamedTensors(["x": failed])).encoded() }
    try Tensor.check()
  }

  @Test func `the format's reserved name is refused, not lost`() {
    let message = Message(tensors: NamedTensors(["__metadata__": Tensor.ones([1])]))
    #expect(throws: ApusError.self) { try message.encoded() }
  }

  @Test func `groups of a snapshot come back under their own names`() throws {
    var stream = RandomStream(seed: 4)
    let first = NamedTensors(["x": drawn([2], &stream), "y/z": drawn([3], &stream)])
    let second = NamedTensors(["x": drawn([4], &stream), "\u{301}": drawn([1], &stream)])
    let snapshot = Snapshot(groups: ["one": first, "two": second, "none": NamedTensors()])
    let stored = try Snapshot(encoded: snapshot.encoded(), at: "here")
    #expect(stored.group("one").isIdentical(to: first))
    #expect(stored.group("two").isIdentical(to: second))
    #expect(stored.group("none").isEmpty)
    #expect(try stored.group("one", like: first).isIdentical(to: first))
    let error = #expect(throws: ApusError.self) { try stored.group("two", like: first) }
    #expect(error?.code == .shapeMismatch)
    #expect(Snapshot().isEmpty)
    #expect(!stored.isEmpty)
  }
}

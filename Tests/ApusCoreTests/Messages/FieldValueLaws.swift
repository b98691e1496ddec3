import ApusBase
import ApusTorch
import Foundation
import Testing

@testable import ApusCore

private let texts = [
  "", "plain", "two\nlines", "a\r\nb", "tab\t and nul\0", "\"quoted\\\"", "日本語 😀 e\u{301} \u{e9}",
  "\u{301} begins with an accent", "\u{200D}joined", "\u{FEFF}", "\u{2028}\u{2029}", "i7", "f.x",
  String(repeating: "long ", count: 5_000),
]

private let values: [FieldValue] =
  [.int(0), .int(-1), .int(.min), .int(.max), .bool(true), .bool(false)]
  + [
    0, -0.0, 0.1, -.leastNormalMagnitude, .infinity, -.infinity, .nan, -.nan, .signalingNaN,
    .leastNonzeroMagnitude, .greatestFiniteMagnitude, Double(nan: 12_345, signaling: false),
  ].map { .double($0) } + texts.map { .string($0) }

/// Whether two values are the same to the last bit, NaN and normal forms of text included.
private func isSame(_ a: FieldValue?, _ b: FieldValue) -> Bool {
  switch (a, b) {
  case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern
  case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
  default: a == b
  }
}

@Suite struct FieldValueLaws {
  @Test(arguments: values)
  func `a message and a snapshot give a value back to the last bit`(value: FieldValue) throws {
    let message = try Message(
      encoded: Message(fields: ["v": value]).encoded(), at: "here")
    #expect(message.fields.count == 1)
    #expect(isSame(message.fields["v"], value))
    let snapshot = try Snapshot(
      encoded: Snapshot(fields: ["v": value]).encoded(), at: "here")
    #expect(isSame(snapshot.fields["v"], value))
  }

  @Test(arguments: texts)
  func `any text may be the name of a field`(name: String) throws {
    let message = try Message(encoded: Message(fields: [name: .int(3)]).encoded(), at: "here")
    #expect(message.fields.count == 1)
    #expect(message.fields[name] == .int(3))
  }

  @Test func `a value is read as its own kind, and a whole number also as a number`() {
    #expect(FieldValue.int(3).int == 3)
    #expect(FieldValue.int(3).double == 3)
    #expect(FieldValue.double(0.5).double == 0.5)
    #expect(FieldValue.double(3).int == nil)
    #expect(FieldValue.string("3").int == nil)
    #expect(FieldValue.string("true").bool == nil)
    #expect(FieldValue.bool(true).bool == true)
    #expect(FieldValue.bool(true).double == nil)
    #expect(FieldValue.int(3).string == nil)
  }

  @Test(arguments: ["", "q", "i", "i1.5", "i99999999999999999999", "dzz", "d", "b", "b2", "I1"])
  func `a text that encodes no value is refused with the field's name`(text: String) throws {
    let bytes = try Safetensors.encode([], metadata: ["apus": "message/1", "f.loss": text])
    let error = #expect(throws: ApusError.self) { try Message(encoded: bytes, at: "round 3") }
    #expect(error?.code == .invalidMessage)
    #expect(error?.location == "round 3, field loss")
  }
}

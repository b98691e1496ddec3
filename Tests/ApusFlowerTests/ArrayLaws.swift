import ApusBase
import Foundation
import Testing

@testable import ApusFlower

@Suite struct ArrayLaws {
  /// A NumPy file as NumPy 2.4 wrote it: descr, order, shape, elements in file order.
  private static func file(
    _ descr: String, fortran: Bool = false, shape: String, elements: [UInt8], version: UInt8 = 1
  ) -> Data {
    var text =
      "{'descr': '\(descr)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }"
    let prefix = version == 1 ? 10 : 12
    text += String(repeating: " ", count: (64 - (prefix + text.utf8.count + 1) % 64) % 64) + "\n"
    var bytes = Data([0x93] + Array("NUMPY".utf8) + [version, 0])
    bytes += [UInt8(text.utf8.count & 255), UInt8(text.utf8.count >> 8)]
    if version > 1 { bytes += [0, 0] }
    return bytes + Data(text.utf8) + Data(elements)
  }

  @Test func `headers are NumPy's own, byte by byte`() {
    let array = FlowerArray(dtype: "float32", shape: [2, 3], elements: Data(count: 24))
    #expect(array.header == Self.file("<f4", shape: "(2, 3)", elements: []))
    #expect(
      FlowerArray(dtype: "uint8", shape: [5], elements: Data(count: 5)).header
        == Self.file("|u1", shape: "(5,)", elements: []))
    #expect(
      FlowerArray(dtype: "float64", shape: [], elements: Data(count: 8)).header
        == Self.file("<f8", shape: "()", elements: []))
  }

  @Test(arguments: [[], [7], [2, 3], [1, 2, 3, 4], [0, 4]])
  func `what is written is read again`(shape: [Int]) throws {
    let count = shape.reduce(4, *)
    let array = FlowerArray(
      dtype: "float32", shape: shape, elements: Data((0..<count).map { UInt8($0 & 255) }))
    #expect(try FlowerArray(npy: array.chunks.reduce(Data(), +), at: "test") == array)
  }

  @Test func `Fortran's order becomes C's`() throws {
    let columns = Self.file("|u1", fortran: true, shape: "(2, 3)", elements: [1, 4, 2, 5, 3, 6])
    let array = try FlowerArray(npy: columns, at: "test")
    #expect(
      array == FlowerArray(dtype: "uint8", shape: [2, 3], elements: Data([1, 2, 3, 4, 5, 6])))
  }

  @Test func `files of version 2 are read`() throws {
    let file = Self.file("<i2", shape: "(1,)", elements: [1, 2], version: 2)
    let array = try FlowerArray(npy: file, at: "test")
    #expect(array == FlowerArray(dtype: "int16", shape: [1], elements: Data([1, 2])))
  }

  @Test(arguments: [
    Data(), Data("NUMPY".utf8), file("|V2", shape: "(1,)", elements: [1, 2]),
    file("<f4", shape: "(2,)", elements: [0, 0, 0, 0]), file("<f4", shape: "(-1,)", elements: []),
    file("<f4", shape: "(9223372036854775807, 9223372036854775807)", elements: []),
    file("|u1", shape: "(one, 2)", elements: [1, 2]), file("|b1", shape: "(1,)", elements: [2]),
    file("|u1", shape: "(\(String(repeating: "1,", count: 65)))", elements: [1]),
  ])
  func `what is no array of numbers is refused, not trapped on`(file: Data) {
    let error = #expect(throws: ApusError.self) { try FlowerArray(npy: file, at: "here") }
    #expect(error?.location == "here")
  }

  @Test func `JSON is written as Python writes it, and read in order`() throws {
    let pairs = [(key: "b", value: "é\u{1F600}"), (key: "a", value: "\"\\\n\u{7F}\u{1}")]
    let bytes = OrderedJSON.write(pairs)
    let python = #"{"b": "\u00e9\ud83d\ude00", "a": "\"\\\n\u007f\u0001"}"#
    #expect(String(decoding: bytes, as: UTF8.self) == python)
    let read = try #require(OrderedJSON.read(bytes))
    #expect(read.map(\.key) == ["b", "a"] && read.map(\.value) == pairs.map(\.value))
    #expect(OrderedJSON.read(Data("{\"a\": 1}".utf8)) == nil)
    #expect(OrderedJSON.read(Data("{\"a\": \"b\"".utf8)) == nil)
    #expect(OrderedJSON.read(Data("{}".utf8))?.isEmpty == true)
  }
}

import ApusBase
import Foundation

/// An array as it travels: dtype, shape and, row-major and little-endian, its elements.
///
/// On the wire it is a NumPy file (`.npy`), cut into chunks. There is no bfloat16 in NumPy.
struct FlowerArray: Sendable, Equatable {
  /// NumPy's name, such as `float32`.
  let dtype: String
  let shape: [Int]
  let elements: Data

  /// The chunks of other senders may have any size; this is Flower's own.
  static let chunkSize = 5_242_880

  init(dtype: String, shape: [Int], elements: Data) {
    self.dtype = dtype
    self.shape = shape
    self.elements = elements
  }

  /// Bytes without a meaning for NumPy: an encoded message.
  init(bytes: Data) { self.init(dtype: "uint8", shape: [bytes.count], elements: bytes) }

  /// As many as NumPy and libtorch allow.
  private static let dimensions = 64

  private static let descriptions = [
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "|i1", "uint8": "|u1", "bool": "|b1",
  ]

  /// Header of the NumPy file, version 1.0, as NumPy writes it.
  var header: Data {
    let sizes = shape.count == 1 ? "\(shape[0])," : shape.map(String.init).joined(separator: ", ")
    let description = Self.descriptions[dtype] ?? "|u1"
    var text =
      "{'descr': '\(description)', 'fortran_order': False, 'shape': (\(sizes)), }"
    // 10 bytes of magic and length, a line feed at the end, together a multiple of 64.
    text += String(repeating: " ", count: (64 - (text.utf8.count + 11) % 64) % 64) + "\n"
    let count = UInt16(text.utf8.count)
    return Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(count & 255), UInt8(count >> 8)])
      + Data(text.utf8)
  }

  /// The NumPy file in chunks; slices of the elements wherever possible.
  var chunks: [Data] {
    let header = header
    let first = min(elements.count, Self.chunkSize - header.count)
    var place = elements.startIndex + first
    var chunks = [header + elements[..<place]]
    while place < elements.endIndex {
      let end = min(place + Self.chunkSize, elements.endIndex)
      chunks.append(elements[place..<end])
      place = end
    }
    return chunks
  }

  /// Reads a NumPy file.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` for a dtype that has no name here, or too few or too
  ///   many elements for the shape.
  init(npy bytes: Data, at place: String) throws(ApusError) {
    func error(_ problem: String) -> ApusError {
      ApusError(
        .invalidMessage, at: place, problem,
        remedy: "Send arrays of NumPy of a float or integer type; bfloat16 as float32")
    }
    let bytes = bytes.startIndex == 0 ? bytes : Data(bytes)
    guard bytes.count >= 12, bytes.prefix(6) == Data([0x93] + Array("NUMPY".utf8)) else {
      throw error("the array is no NumPy file")
    }
    let wide = bytes[6] >= 2
    let digits = bytes[8..<(wide ? 12 : 10)].reversed()
    let start = (wide ? 12 : 10) + digits.reduce(0) { $0 << 8 | Int($1) }
    guard bytes.count >= start else { throw error("the NumPy file is cut short") }
    let header = String(decoding: bytes[(wide ? 12 : 10)..<start], as: UTF8.self)
    guard let description = Self.value("descr", in: header, between: "'", and: "'"),
      let dtype = Self.descriptions.first(where: { $0.value == description })?.key
    else { throw error("the NumPy header \(header.prefix(80)) names no known type") }
    guard let sizes = Self.value("shape", in: header, between: "(", and: ")") else {
      throw error("the NumPy header has no shape")
    }
    let lengths = sizes.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    let shape = lengths.compactMap { Int($0) }
    guard shape.count == lengths.count, shape.count <= Self.dimensions else {
      throw error("the NumPy header has the shape (\(sizes.prefix(80)))")
    }
    let width = Int(description.dropFirst(2)) ?? 0
    let (count, overflows) = shape.reduce((width, false)) { product, size in
      let (value, overflow) = product.0.multipliedReportingOverflow(by: size)
      return (value, product.1 || overflow || size < 0)
    }
    guard !overflows, bytes.count - start == count else {
      throw error("\(bytes.count - start) bytes do not fill shape \(shape) of \(dtype)")
    }
    let elements = bytes[start...]
    guard dtype != "bool" || elements.allSatisfy({ $0 <= 1 }) else {
      throw error("a truth value is neither 0 nor 1")
    }
    let isTransposed = header.contains("'fortran_order': True") && shape.count > 1
    self.init(
      dtype: dtype, shape: shape,
      elements: isTransposed ? Self.rowMajor(Data(elements), shape, width: width) : elements)
  }

  /// Elements in C order from elements in Fortran's, where the first index runs fastest.
  private static func rowMajor(_ columns: Data, _ shape: [Int], width: Int) -> Data {
    var result = Data(capacity: columns.count)
    var index = shape.map { _ in 0 }
    for _ in 0..<(columns.count / max(1, width)) {
      var (offset, stride) = (0, width)
      for (place, size) in zip(index, shape) {
        offset += place * stride
        stride *= size
      }
      result.append(columns[offset..<(offset + width)])
      for axis in index.indices.reversed() {
        index[axis] += 1
        if index[axis] < shape[axis] { break }
        index[axis] = 0
      }
    }
    return result
  }

  private static func value(
    _ key: String, in header: String, between open: String, and close: String
  ) -> String? {
    guard let name = header.range(of: "'\(key)':"),
      let start = header.range(of: open, range: name.upperBound..<header.endIndex),
      let end = header.range(of: close, range: start.upperBound..<header.endIndex)
    else { return nil }
    return String(header[start.upperBound..<end.lowerBound])
  }
}

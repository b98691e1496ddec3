import ApusBase
import Foundation

/// The normalization that a sentencepiece model carries: a double-array trie of what is replaced.
///
/// - Source: sentencepiece, `normalizer.cc`, and the double array of `darts_clone`; that a grapheme
///   is looked up before its scalars, and the shortest match taken, is the way of `tokenizers`.
struct Precompiled: Normalizer {
  /// Units of the trie: label, offset and, in leaves, a value.
  private let units: [UInt32]
  /// All replacements, each ended by a zero.
  private let replacements: [UInt8]

  init(reading node: JSONNode) throws(ApusError) {
    let field = node["precompiled_charsmap"]
    guard let data = Data(base64Encoded: try field.string()) else {
      throw field.error("this is not base64", remedy: "Restore the file from its source")
    }
    try self.init(Array(data), at: field.place)
  }

  /// Takes over a map as sentencepiece stores it.
  init(_ bytes: [UInt8], at place: String) throws(ApusError) {
    let size = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard bytes.count >= 4, size.isMultiple(of: 4), size >= 4, size <= bytes.count - 4 else {
      throw ApusError(
        .invalidFile, at: place, "the map says it has \(size) bytes of trie, which it has not",
        remedy: "Restore the file from its source")
    }
    units = stride(from: 4, to: 4 + size, by: 4).map { index in
      bytes[index..<(index + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    replacements = Array(bytes[(4 + size)...])
  }

  func normalize(_ text: inout NormalizedText) {
    var emissions: [NormalizedText.Emission] = []
    emissions.reserveCapacity(text.count + 8)
    var isModified = false
    var place = 0
    while place < text.count {
      let end = Self.simpleEnd(in: text.scalars, from: place)
      if end > place {
        for index in place..<end {
          isModified = replace(text.scalars[index...index], &emissions) || isModified
        }
        place = end
        continue
      }
      let rest = Self.complexEnd(in: text.scalars, from: place)
      for grapheme in text.string(place..<rest) {
        let part = Array(grapheme.unicodeScalars)
        if grapheme.utf8.count < 6, replaceWhole(part[...], &emissions) {
          isModified = true
        } else {
          for index in part.indices {
            isModified = replace(part[index...index], &emissions) || isModified
          }
        }
      }
      place = rest
    }
    if isModified { text.replace(with: emissions) }
  }

  /// Where scalars end that are graphemes by themselves, without a look at Unicode's tables.
  private static func simpleEnd(
    in scalars: ContiguousArray<Unicode.Scalar>, from start: Int
  ) -> Int {
    var end = start
    while end < scalars.count, scalars[end].value < 0x300, scalars[end] != "\r" { end += 1 }
    // The last may be the base of what follows.
    return end == scalars.count ? end : max(start, end - 1)
  }

  /// Where the graphemes end that need those tables.
  private static func complexEnd(
    in scalars: ContiguousArray<Unicode.Scalar>, from start: Int
  ) -> Int {
    var end = start + 1
    while end < scalars.count {
      let isBoundary =
        scalars[end - 1].value < 0x300 && scalars[end].value < 0x300 && scalars[end - 1] != "\r"
      if isBoundary { break }
      end += 1
    }
    return end
  }

  /// Emits one scalar, replaced if the map knows it; returns whether it does.
  private func replace(
    _ part: some Collection<Unicode.Scalar>, _ emissions: inout [NormalizedText.Emission]
  ) -> Bool {
    if replaceWhole(part, &emissions) { return true }
    for scalar in part { emissions.append(NormalizedText.Emission(scalar: scalar, change: 0)) }
    return false
  }

  /// Emits what the map has for `part`, if it has something.
  private func replaceWhole(
    _ part: some Collection<Unicode.Scalar>, _ emissions: inout [NormalizedText.Emission]
  ) -> Bool {
    guard let start = match(part) else { return false }
    let rest = replacements[min(start, replacements.count)...]
    let new = String(decoding: rest.prefix { $0 != 0 }, as: UTF8.self).unicodeScalars
    let (count, old) = (new.count, part.count)
    for (index, scalar) in new.enumerated() {
      emissions.append(NormalizedText.Emission(scalar: scalar, change: index < old ? 0 : 1))
    }
    if count < old, !emissions.isEmpty { emissions[emissions.count - 1].change -= old - count }
    return true
  }

  /// The value of the shortest key with which `part` begins.
  private func match(_ part: some Collection<Unicode.Scalar>) -> Int? {
    var node = Self.offset(units[0])
    for scalar in part {
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
        guard byte != 0 else { return nil }
        node ^= Int(byte)
        guard node < units.count, case let unit = units[node],
          unit & (1 << 31 | 0xFF) == UInt32(byte)
        else { return nil }
        node ^= Self.offset(unit)
        if unit >> 8 & 1 == 1 {
          return node < units.count ? Int(units[node] & 0x7FFF_FFFF) : nil
        }
      }
    }
    return nil
  }

  @inline(__always)
  private static func offset(_ unit: UInt32) -> Int {
    Int(unit >> 10) << Int((unit & (1 << 9)) >> 6)
  }
}

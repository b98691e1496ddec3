import ApusBase
import Foundation

/// JSON objects of texts, in order: Flower's bodies, where the order of keys carries meaning.
///
/// Written exactly as Python's `json.dumps` does it, because an object's id hangs on every byte.
enum OrderedJSON {
  /// `{"a": "x", "b": "y"}`.
  static func write(_ pairs: [(key: String, value: String)]) -> Data {
    let fields = pairs.map { "\(quoted($0.key)): \(quoted($0.value))" }
    return Data("{\(fields.joined(separator: ", "))}".utf8)
  }

  /// A text in quotes, everything beyond ASCII as UTF-16 escapes.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for unit in text.utf16 {
      switch unit {
      case 0x22: result += "\\\""
      case 0x5C: result += "\\\\"
      case 0x0A: result += "\\n"
      case 0x0D: result += "\\r"
      case 0x09: result += "\\t"
      case 0x08: result += "\\b"
      case 0x0C: result += "\\f"
      case 0x20..<0x7F: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      default:
        let digits = String(unit, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return result + "\""
  }

  /// Reads an object whose values are all texts; nil if the bytes are none.
  static func read(_ bytes: Data) -> [(key: String, value: String)]? {
    var reader = Reader(units: Array(bytes), place: 0)
    return reader.object()
  }

  private struct Reader {
    let units: [UInt8]
    var place: Int

    mutating func object() -> [(key: String, value: String)]? {
      guard take("{") else { return nil }
      var pairs: [(key: String, value: String)] = []
      if !take("}") {
        repeat {
          guard let key = text(), take(":"), let value = text() else { return nil }
          pairs.append((key, value))
        } while take(",")
        guard take("}") else { return nil }
      }
      skipSpace()
      return place == units.count ? pairs : nil
    }

    private mutating func skipSpace() {
      while place < units.count, [0x20, 0x09, 0x0A, 0x0D].contains(units[place]) { place += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      skipSpace()
      guard place < units.count, units[place] == UInt8(ascii: character) else { return false }
      place += 1
      return true
    }

    /// A text; Foundation undoes its escapes.
    private mutating func text() -> String? {
      skipSpace()
      let start = place
      guard take("\"") else { return nil }
      while place < units.count, units[place] != UInt8(ascii: "\"") {
        place += units[place] == UInt8(ascii: "\\") ? 2 : 1
      }
      guard place < units.count else { return nil }
      place += 1
      return try? JSONDecoder().decode(String.self, from: Data(units[start..<place]))
    }
  }
}

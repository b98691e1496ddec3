import Foundation

/// A JSON value on its way out, with the order of an object's members kept.
enum JSONText {
  case text(String)
  case integer(Int)
  case number(Double)
  case null

  /// The value in JSON's notation; a number that JSON cannot spell is null.
  var encoded: String {
    switch self {
    case .text(let text): Self.quoted(text)
    case .integer(let value): "\(value)"
    case .number(let value): value.isFinite ? "\(value)" : "null"
    case .null: "null"
    }
  }

  /// An optional number, null when it is absent.
  static func optional(_ value: Double?) -> JSONText { value.map { .number($0) } ?? .null }

  /// One object on one line.
  static func object(_ members: [(key: String, value: JSONText)]) -> String {
    let list = members.map { "\(quoted($0.key)):\($0.value.encoded)" }
    return "{\(list.joined(separator: ","))}"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default:
        // Control characters would be invalid; the line separators would break line readers.
        let mustEscape = scalar.value < 0x20 || [0x7F, 0x85, 0x2028, 0x2029].contains(scalar.value)
        if mustEscape {
          result += String(format: "\\u%04x", scalar.value)
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}

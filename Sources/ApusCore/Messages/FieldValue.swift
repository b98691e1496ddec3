/// A small value beside the tensors of a message or a snapshot.
public enum FieldValue: Sendable, Hashable {
  /// A whole number, such as a count.
  case int(Int)
  /// A number, such as a loss.
  case double(Double)
  /// A text.
  case string(String)
  /// A truth value.
  case bool(Bool)

  /// The whole number, if it is one.
  public var int: Int? { if case .int(let value) = self { value } else { nil } }

  /// The number, whole or not.
  public var double: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// The text, if it is one.
  public var string: String? { if case .string(let value) = self { value } else { nil } }

  /// The truth value, if it is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The text that ``init(encoded:)`` reads back to the same bits: a letter and the value.
  var encoded: String {
    switch self {
    case .int(let value): "i\(value)"
    // The bit pattern keeps NaN and infinity, which a broken client may well send.
    case .double(let value): "d\(String(value.bitPattern, radix: 16))"
    case .string(let value): "s\(value)"
    case .bool(let value): value ? "b1" : "b0"
    }
  }

  init?(encoded: String) {
    // By scalars: in a character, a text's leading accent would join the letter in front of it.
    let scalars = encoded.unicodeScalars
    let rest = String(scalars.dropFirst())
    switch scalars.first {
    case "i":
      guard let value = Int(rest) else { return nil }
      self = .int(value)
    case "d":
      guard let bits = UInt64(rest, radix: 16) else { return nil }
      self = .double(Double(bitPattern: bits))
    case "s": self = .string(rest)
    case "b" where rest == "0" || rest == "1": self = .bool(rest == "1")
    default: return nil
    }
  }
}

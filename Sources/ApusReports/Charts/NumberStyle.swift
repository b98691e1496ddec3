import Foundation

/// How the numbers of an axis are written.
public enum NumberStyle: Sendable {
  /// As they are.
  case number
  /// Whole numbers, such as rounds; no tick stands between two.
  case whole
  /// Shares of one, as percentages.
  case percent
  /// Bytes in decimal units.
  case bytes

  /// The label of a tick, with the decimals that its neighbours need.
  func label(_ value: Double, step: Double) -> String {
    switch self {
    case .percent: Self.plain(value * 100, step: step * 100) + "%"
    case .bytes: Self.bytes(value)
    case .number, .whole: Self.plain(value, step: step)
    }
  }

  /// A single value, as precise as it is worth reading.
  func text(_ value: Double) -> String {
    switch self {
    case .percent: Quantity.percent(value)
    case .bytes: Self.bytes(value)
    case .number, .whole: String(format: "%.4g", value)
    }
  }

  private static func plain(_ value: Double, step: Double) -> String {
    let value = value.magnitude < step * 1e-6 ? 0 : value
    if step < 1e-4 || value.magnitude >= 1e6 && value != 0 {
      // Enough digits to tell neighbours apart, then no zeros at the end.
      let digits = max(0, Int((log10(max(value.magnitude, step) / step) + 1e-6).rounded(.up)))
      let parts = String(format: "%.\(min(digits, 15))e", value).split(separator: "e")
      guard parts.count == 2, let exponent = Int(parts[1]), value != 0 else { return "0" }
      return "\(trimmed(String(parts[0])))e\(exponent)"
    }
    let digits = max(0, -Int(log10(step * 1.000_001).rounded(.down)))
    return Quantity.number(value, digits: digits)
  }

  private static func bytes(_ value: Double) -> String {
    let parts = Quantity.bytes(value, digits: 3).split(separator: " ")
    return "\(trimmed(String(parts[0]))) \(parts[1])"
  }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    let cut = text.reversed().drop { $0 == "0" }
    return String(String(cut.drop { $0 == "." }.reversed()))
  }
}

import Foundation

/// Numbers as people read them, the same in every locale.
public enum Quantity {
  /// A byte count in decimal units, one decimal: `999 B`, `12.3 MB`.
  ///
  /// Traffic is sold and measured in powers of ten, so 1 kB is 1000 bytes.
  public static func bytes(_ count: Int) -> String { bytes(Double(count), digits: 1) }

  /// A byte count to the byte: `12,345,678 B`.
  public static func exactBytes(_ count: Int) -> String { "\(self.count(count)) B" }

  /// A count with a comma between thousands: `1,234,567`.
  public static func count(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var result = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
      result.append(digit)
    }
    return result
  }

  /// A share as a percentage: 0.9131 is `91.3%`.
  ///
  /// - Parameters:
  ///   - share: Part of one; not limited to 0...1.
  ///   - digits: Decimals of the percentage.
  /// - Returns: The text; `NaN` for a share that is not a number.
  public static func percent(_ share: Double, digits: Int = 1) -> String {
    share.isFinite ? "\(number(100 * share, digits: digits))%" : number(share, digits: digits)
  }

  /// A number with a fixed count of decimals and a point: `0.532`.
  ///
  /// - Parameters:
  ///   - value: Any number; a result of zero never carries a minus sign.
  ///   - digits: Decimals.
  /// - Returns: The text; `NaN`, `inf` or `-inf` for what is no finite number.
  public static func number(_ value: Double, digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "inf" : "-inf" }
    let text = String(format: "%.\(digits)f", value)
    return text.contains { ("1"..."9").contains($0) } || !text.hasPrefix("-")
      ? text : String(text.dropFirst())
  }

  /// A span of time in the two units that matter: `350 ms`, `1.2 s`, `2 min 03 s`, `3 h 05 min`.
  public static func duration(_ span: Duration) -> String {
    let parts = span.components
    return duration(seconds: Double(parts.seconds) + Double(parts.attoseconds) * 1e-18)
  }

  /// A span of time given in seconds; see ``duration(_:)``.
  public static func duration(seconds: Double) -> String {
    guard seconds.isFinite, seconds.magnitude < 1e12 else { return "unknown time" }
    if seconds < 0 { return "-" + duration(seconds: -seconds) }
    if (seconds * 1000).rounded() < 1000 { return "\(Int((seconds * 1000).rounded())) ms" }
    if (seconds * 10).rounded() < 600 { return "\(number(seconds, digits: 1)) s" }
    let whole = Int(seconds.rounded())
    if whole < 3600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
    let minutes = Int((seconds / 60).rounded())
    if minutes < 1440 { return "\(minutes / 60) h \(twoDigits(minutes % 60)) min" }
    let hours = Int((seconds / 3600).rounded())
    return "\(hours / 24) d \(twoDigits(hours % 24)) h"
  }

  /// A byte count with at most `digits` decimals, for axes as well as for text.
  static func bytes(_ count: Double, digits: Int) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var (value, unit) = (count, 0)
    func shown(_ value: Double) -> Double {
      let scale = unit == 0 ? 1 : pow(10, Double(digits))
      return (value * scale).rounded() / scale
    }
    // Compared as shown, so that 999,960 B is 1.0 MB and never 1000.0 kB.
    while unit < units.count - 1, shown(value).magnitude >= 1000 {
      value /= 1000
      unit += 1
    }
    return "\(number(value, digits: unit == 0 ? 0 : digits)) \(units[unit])"
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}

import ApusBase
import Foundation
import Yams

/// Reads single values of an experiment file, as what JSON has for them.
enum SettingScalar {
  /// One of the raw values of an enumeration, whatever its case and hyphens.
  static func choice(
    of type: any (CaseIterable & RawRepresentable).Type, in node: ConfigurationNode
  ) throws(ApusError) -> String {
    func names<Choice: CaseIterable & RawRepresentable>(_: Choice.Type) -> [String] {
      Choice.allCases.map { "\($0.rawValue)" }
    }
    func plain(_ name: String) -> String { name.lowercased().replacing("_", with: "-") }
    let (allowed, given) = (names(type), try text(node))
    guard let found = allowed.first(where: { plain($0) == plain(given) }) else {
      throw node.error(
        "\"\(given)\" is none of the values", remedy: Spelling.remedy(for: given, allowed: allowed))
    }
    return found
  }

  /// A whole number, also written as 1_000 or 1e3.
  static func whole(
    _ type: any FixedWidthInteger.Type, in node: ConfigurationNode
  ) throws(ApusError) -> NSNumber {
    func value<Whole: FixedWidthInteger>(_: Whole.Type, of digits: String) -> Whole? {
      Whole(digits) ?? Double(digits).flatMap { Whole(exactly: $0) }
    }
    let text = try text(node)
    if let value = value(type, of: text.replacing("_", with: "")) {
      // What fits a type of at most 64 bits fits one of these two.
      return Int64(exactly: value).map { NSNumber(value: $0) }
        ?? NSNumber(value: UInt64(clamping: value))
    }
    throw node.error("expected a whole number, found \"\(text)\"", remedy: "Write digits only")
  }

  /// A finite number.
  static func number(_ node: ConfigurationNode) throws(ApusError) -> Double {
    let text = try text(node)
    guard let value = Double(text.replacing("_", with: "")), value.isFinite else {
      throw node.error("expected a number, found \"\(text)\"", remedy: "Write it as 0.001 or 1e-3")
    }
    return value
  }

  /// A truth value, in the words of YAML.
  static func truth(_ node: ConfigurationNode) throws(ApusError) -> Bool {
    let text = try text(node)
    switch text.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default:
      throw node.error("expected true or false, found \"\(text)\"", remedy: "Write true or false")
    }
  }

  /// The value as it is written, without quotes.
  static func text(_ node: ConfigurationNode) throws(ApusError) -> String {
    guard let text = node.node?.scalar?.string else {
      throw node.error("expected one value, found a list or section", remedy: "Write one value")
    }
    return text
  }
}

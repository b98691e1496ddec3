import ApusBase
import Foundation

/// Filters: functions that stand behind a value and `|`.
enum TemplateFilters {
  /// Applies a filter.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for one that is not known, or that the value does not
  ///   have.
  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateArguments, place: String
  ) throws(ApusError) -> TemplateValue {
    if let result = ofText(name, value, arguments) { return result }
    if let result = ofList(name, value, arguments) { return result }
    switch name {
    case "default", "d":
      let isBoolean = arguments.value(1, "boolean")?.isTrue ?? false
      let isMissing = if case .undefined = value { true } else { isBoolean && !value.isTrue }
      return isMissing ? arguments.value(0, "default_value") ?? .text("") : value
    case "tojson": return .text(json(value, indent: arguments.value(0, "indent")?.whole, level: 0))
    case "int":
      if case .text(let text) = value {
        return .int(Int(text.trimmingCharacters(in: .whitespaces)) ?? 0)
      }
      return .int(value.number.flatMap { Int(exactly: $0.rounded(.towardZero)) } ?? 0)
    case "float":
      if case .text(let text) = value { return .float(Double(text) ?? 0) }
      return .float(value.number ?? 0)
    case "abs":
      return value.whole.map { .int($0 == .min ? 0 : abs($0)) } ?? .float(abs(value.number ?? 0))
    case "selectattr", "rejectattr":
      return .list(try chosen(name == "selectattr", from: value, arguments, place: place))
    default:
      throw ApusError(
        .unsupported, at: place, "the filter \"\(name)\" is not supported for \(value.kind)",
        remedy: "Use a prompt template instead of the checkpoint's")
    }
  }

  private static func ofText(
    _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
  ) -> TemplateValue? {
    switch name {
    case "trim":
      var set: String?
      if case .text(let text)? = arguments.placed.first { set = text }
      return .text(TemplateMethods.trimmed(value.printed, of: set))
    case "string": return .text(value.printed)
    case "safe", "escape", "e": return value
    case "upper": return .text(value.printed.uppercased())
    case "lower": return .text(value.printed.lowercased())
    case "title": return .text(value.printed.capitalized)
    case "capitalize":
      let text = value.printed
      return .text(text.prefix(1).uppercased() + text.dropFirst().lowercased())
    case "replace":
      guard arguments.placed.count > 1 else { return nil }
      let (old, new) = (arguments.placed[0].printed, arguments.placed[1].printed)
      return .text(old.isEmpty ? value.printed : value.printed.replacing(old, with: new))
    case "indent":
      let width = min(max(arguments.value(0, "width")?.whole ?? 4, 0), 1_000)
      let isFirst = arguments.value(1, "first")?.isTrue ?? false
      let space = String(repeating: " ", count: width)
      let lines = value.printed.split(separator: "\n", omittingEmptySubsequences: false)
      let moved = lines.enumerated().map { index, line in
        line.isEmpty || (index == 0 && !isFirst) ? String(line) : space + line
      }
      return .text(moved.joined(separator: "\n"))
    default: return nil
    }
  }

  private static func ofList(
    _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
  ) -> TemplateValue? {
    if name == "items", case .map(let map) = value {
      return .list(map.entries.map { .list([.text($0.key), $0.value]) })
    }
    guard let elements = value.elements else { return nil }
    switch name {
    case "length", "count": return .int(elements.count)
    case "list": return .list(elements)
    case "first": return elements.first ?? .undefined
    case "last": return elements.last ?? .undefined
    case "reverse":
      if case .text = value { return .text(elements.reversed().map(\.printed).joined()) }
      return .list(elements.reversed())
    case "join":
      let attribute = arguments.value(1, "attribute")?.printed
      let parts = elements.map { element -> String in
        if let attribute, case .map(let map) = element { return map[attribute]?.printed ?? "" }
        return element.printed
      }
      return .text(parts.joined(separator: arguments.value(0, "d")?.printed ?? ""))
    case "map":
      guard let attribute = arguments.named["attribute"]?.printed else { return nil }
      return .list(
        elements.map {
          if case .map(let map) = $0 { map[attribute] ?? .undefined } else { .undefined }
        })
    case "unique":
      return .list(elements.reduce(into: []) { if !$0.contains($1) { $0.append($1) } })
    default: return nil
    }
  }

  /// Elements whose member passes, or fails, a test.
  private static func chosen(
    _ isKept: Bool, from value: TemplateValue, _ arguments: TemplateArguments, place: String
  ) throws(ApusError) -> [TemplateValue] {
    var kept: [TemplateValue] = []
    let attribute = arguments.placed.first?.printed ?? ""
    let test = arguments.placed.count > 1 ? arguments.placed[1].printed : "true"
    let rest = TemplateArguments(placed: Array(arguments.placed.dropFirst(2)))
    for element in value.elements ?? [] {
      var member = TemplateValue.undefined
      if case .map(let map) = element { member = map[attribute] ?? .undefined }
      let holds =
        arguments.placed.count > 1
        ? try TemplateTests.holds(test, for: member, rest, place: place) : member.isTrue
      if holds == isKept { kept.append(element) }
    }
    return kept
  }

  /// JSON as Python's `json.dumps` writes it, with letters of all scripts as they are.
  private static func json(_ value: TemplateValue, indent: Int?, level: Int) -> String {
    let width = indent.map { min(max($0, 0), 64) }
    let line = width.map { "\n" + String(repeating: " ", count: $0 * (level + 1)) } ?? ""
    let end = width.map { "\n" + String(repeating: " ", count: $0 * level) } ?? ""
    let gap = width == nil ? ", " : ","
    switch value {
    case .undefined, .null, .namespace, .function: return "null"
    case .bool(let flag): return flag ? "true" : "false"
    case .int(let number): return "\(number)"
    case .float(let number): return "\(number)"
    case .text(let text): return quoted(text)
    case .list(let elements):
      let parts = elements.map { line + json($0, indent: indent, level: level + 1) }
      return elements.isEmpty ? "[]" : "[\(parts.joined(separator: gap))\(end)]"
    case .map(let map):
      let parts = map.entries.map {
        "\(line)\(quoted($0.key)): \(json($0.value, indent: indent, level: level + 1))"
      }
      return parts.isEmpty ? "{}" : "{\(parts.joined(separator: gap))\(end)}"
    }
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
      case "\u{8}": result += "\\b"
      case "\u{c}": result += "\\f"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// Tests: what stands behind `is`.
enum TemplateTests {
  /// Whether a value passes a test.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for a test that is not known.
  static func holds(
    _ name: String, for value: TemplateValue, _ arguments: TemplateArguments, place: String
  ) throws(ApusError) -> Bool {
    switch (name, value) {
    case ("defined", .undefined): return false
    case ("defined", _): return true
    case ("undefined", .undefined), ("none", .null), ("string", .text), ("mapping", .map),
      ("boolean", .bool), ("number", .int), ("number", .float), ("integer", .int),
      ("float", .float), ("iterable", .text), ("iterable", .list), ("iterable", .map),
      ("sequence", .text), ("sequence", .list), ("sequence", .map), ("callable", .function):
      return true
    case ("undefined", _), ("none", _), ("string", _), ("mapping", _), ("boolean", _),
      ("number", _), ("integer", _), ("float", _), ("iterable", _), ("sequence", _),
      ("callable", _):
      return false
    case ("true", _): return value == .bool(true)
    case ("false", _): return value == .bool(false)
    case ("odd", _): return value.whole.map { !$0.isMultiple(of: 2) } ?? false
    case ("even", _): return value.whole.map { $0.isMultiple(of: 2) } ?? false
    case ("equalto", _), ("eq", _), ("sameas", _): return value == arguments.placed.first
    case ("divisibleby", _):
      guard let whole = value.whole, let by = arguments.placed.first?.whole, by != 0 else {
        return false
      }
      return whole.isMultiple(of: by)
    case ("in", _): return arguments.placed.first?.elements?.contains(value) ?? false
    default:
      throw ApusError(
        .unsupported, at: place, "the test \"\(name)\" is not supported",
        remedy: "Use a prompt template instead of the checkpoint's")
    }
  }
}

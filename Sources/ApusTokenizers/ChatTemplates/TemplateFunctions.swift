import ApusBase
import Foundation

/// Functions that every template has.
enum TemplateFunctions {
  /// By name; computed, because values of templates are not shared between threads.
  static var named: [String: TemplateValue] {
    [
      "namespace": .function(
        TemplateValue.Function { (arguments) throws(ApusError) in
          .namespace(TemplateValue.Namespace(arguments.named))
        }),
      "dict": .function(
        TemplateValue.Function { (arguments) throws(ApusError) in
          var map = TemplateMap()
          for (name, value) in arguments.named.sorted(by: { $0.key < $1.key }) { map[name] = value }
          return .map(map)
        }),
      "range": .function(
        TemplateValue.Function { (arguments) throws(ApusError) in try range(arguments) }),
      "raise_exception": .function(
        TemplateValue.Function { (arguments) throws(ApusError) in
          throw ApusError(
            .invalidData, at: "chat template",
            "it refuses these messages: \(arguments.placed.first?.printed ?? "")",
            remedy: "Order and name the messages as the checkpoint's authors intended")
        }),
      "strftime_now": .function(
        TemplateValue.Function { (_) throws(ApusError) in
          throw ApusError(
            .unsupported, at: "chat template",
            "it prints today's date, so that a run could not be repeated",
            remedy: "Give the variable date_string, or use a prompt template")
        }),
    ]
  }

  private static func range(_ arguments: TemplateArguments) throws(ApusError) -> TemplateValue {
    let bounds = arguments.placed.compactMap(\.whole)
    let (start, end, step) =
      switch bounds.count {
      case 1: (0, bounds[0], 1)
      case 2: (bounds[0], bounds[1], 1)
      case 3: (bounds[0], bounds[1], bounds[2])
      default: (0, 0, 0)
      }
    let span = end.subtractingReportingOverflow(start)
    guard step != 0, !span.overflow, (span.partialValue / step) < 100_000 else {
      throw ApusError(
        .unsupported, at: "chat template", "a range has no step, or is too long",
        remedy: "Use a prompt template instead of the checkpoint's")
    }
    return .list(stride(from: start, to: end, by: step).map { .int($0) })
  }
}

/// Methods of texts and mappings, named as in Python.
enum TemplateMethods {
  /// Calls a method.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for one that templates of this kind do not have.
  static func call(
    _ name: String, of owner: TemplateValue, _ arguments: TemplateArguments, place: String
  ) throws(ApusError) -> TemplateValue {
    if case .map(let map) = owner, let result = member(name, of: map, arguments) { return result }
    if case .text(let text) = owner, let result = method(name, of: text, arguments) {
      return result
    }
    throw ApusError(
      .unsupported, at: place, "\(owner.kind) has no method \"\(name)\"",
      remedy: "Use a prompt template instead of the checkpoint's")
  }

  private static func member(
    _ name: String, of map: TemplateMap, _ arguments: TemplateArguments
  ) -> TemplateValue? {
    switch name {
    case "get":
      map[arguments.placed.first?.printed ?? ""] ?? arguments.value(1, "default") ?? .null
    case "items": .list(map.entries.map { .list([.text($0.key), $0.value]) })
    case "keys": .list(map.entries.map { .text($0.key) })
    case "values": .list(map.entries.map(\.value))
    default: nil
    }
  }

  private static func method(
    _ name: String, of text: String, _ arguments: TemplateArguments
  ) -> TemplateValue? {
    let first = arguments.placed.first.flatMap { value -> String? in
      if case .text(let text) = value { text } else { nil }
    }
    switch name {
    case "strip": return .text(trimmed(text, of: first))
    case "lstrip": return .text(trimmed(text, of: first, end: false))
    case "rstrip": return .text(trimmed(text, of: first, start: false))
    case "upper": return .text(text.uppercased())
    case "lower": return .text(text.lowercased())
    case "title": return .text(text.capitalized)
    case "capitalize": return .text(text.prefix(1).uppercased() + text.dropFirst().lowercased())
    case "startswith": return .bool(prefixes(arguments).contains { text.hasPrefix($0) })
    case "endswith": return .bool(prefixes(arguments).contains { text.hasSuffix($0) })
    case "splitlines":
      return .list(
        text.split(separator: "\n", omittingEmptySubsequences: false)
          .map { .text(String($0)) })
    case "split": return .list(split(text, first, arguments).map { .text($0) })
    case "join":
      return arguments.placed.first?.elements.map {
        .text($0.map(\.printed).joined(separator: text))
      }
    case "replace":
      guard let first, !first.isEmpty, arguments.placed.count > 1 else { return nil }
      let count = arguments.value(2, "count")?.whole ?? .max
      let pieces = text.components(separatedBy: first)
      guard count >= 0, count < pieces.count - 1 else {
        return .text(pieces.joined(separator: arguments.placed[1].printed))
      }
      let head = pieces.prefix(count + 1).joined(separator: arguments.placed[1].printed)
      return .text(([head] + pieces.dropFirst(count + 1)).joined(separator: first))
    case "find":
      guard let first, let found = text.range(of: first) else { return .int(-1) }
      return .int(text.unicodeScalars.distance(from: text.startIndex, to: found.lowerBound))
    default: return nil
    }
  }

  /// The text without white space, or the characters of `set`, at its ends.
  static func trimmed(
    _ text: String, of set: String?, start: Bool = true, end: Bool = true
  ) -> String {
    let isDropped = { (scalar: Unicode.Scalar) in
      set.map { $0.unicodeScalars.contains(scalar) } ?? scalar.properties.isWhitespace
    }
    var rest = Substring(text).unicodeScalars
    if start { rest = rest.drop(while: isDropped) }
    while end, let last = rest.last, isDropped(last) { rest.removeLast() }
    return String(rest)
  }

  private static func prefixes(_ arguments: TemplateArguments) -> [String] {
    switch arguments.placed.first {
    case .text(let text): [text]
    case .list(let texts): texts.map(\.printed)
    default: []
    }
  }

  private static func split(
    _ text: String, _ separator: String?, _ arguments: TemplateArguments
  ) -> [String] {
    guard let separator, !separator.isEmpty else {
      return text.split(whereSeparator: \.isWhitespace).map(String.init)
    }
    let pieces = text.components(separatedBy: separator)
    guard let limit = arguments.value(1, "maxsplit")?.whole, limit >= 0, limit < pieces.count - 1
    else { return pieces }
    return pieces.prefix(limit) + [pieces.dropFirst(limit).joined(separator: separator)]
  }
}

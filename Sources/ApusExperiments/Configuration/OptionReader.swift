import ApusBase
import Foundation
import Yams

/// Reads groups of settings: defaults from Swift, values from the file, and no key unread.
///
/// A group's stored properties are its settings. What the default is, the value must be: a number
/// for a number, one of the cases for an enumeration, a section for a nested group.
enum OptionReader {
  /// The group with the values of the file over `defaults`.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` for an unknown key (with a suggestion), a value of
  ///   another kind, a case that does not exist (with those that do), or a value that the group's
  ///   own validation refuses.
  static func read<Group: OptionGroup>(
    _ node: ConfigurationNode, over defaults: Group = Group()
  ) throws(ApusError) -> Group {
    let merged = try overlay(node, on: defaults)
    let group: Group
    do {
      group = try decoder.decode(
        Group.self, from: JSONSerialization.data(withJSONObject: merged))
    } catch {
      throw refusal(error, of: node)
    }
    try validate(group, node)
    return group
  }

  /// Asks the groups inside first, so that a refusal names the section where the setting stands.
  private static func validate(
    _ group: any OptionGroup, _ node: ConfigurationNode
  ) throws(ApusError) {
    for child in Mirror(reflecting: group).children {
      guard let label = child.label, let nested = child.value as? any OptionGroup else { continue }
      try validate(nested, node[Spelling.kebab(label)])
    }
    do throws(ApusError) { try group.validate() } catch {
      let setting = error.location.split(separator: ".").reduce(node) { $0[String($1)] }
      throw setting.error(error.problem, remedy: error.remedy)
    }
  }

  /// The same for a group whose type is known only at run time.
  static func readErased(
    _ node: ConfigurationNode, over defaults: any OptionGroup
  ) throws(ApusError) -> any OptionGroup {
    func open<Group: OptionGroup>(_ group: Group) throws(ApusError) -> any OptionGroup {
      try read(node, over: group)
    }
    return try open(defaults)
  }

  /// Names of the settings of a group, as a file writes them.
  static func names(of group: Any) -> [String] {
    Mirror(reflecting: group).children.compactMap { $0.label.map(Spelling.kebab) }
  }

  /// The default's JSON object with the values of the file in place of its own.
  private static func overlay(
    _ node: ConfigurationNode, on defaults: some Encodable
  ) throws(ApusError) -> [String: Any] {
    var merged = json(defaults) as? [String: Any] ?? [:]
    guard node.node != nil, !isNull(node) else { return merged }
    guard node.node?.mapping != nil else {
      throw node.error("expected a section", remedy: "Indent its settings below it")
    }
    var settings = Mirror(reflecting: defaults).children.compactMap { child in
      child.label.map { (label: $0, value: child.value, isRead: false) }
    }
    for (key, value) in try node.members() {
      let spelt = Spelling.kebab(key)
      guard let index = settings.firstIndex(where: { Spelling.kebab($0.label) == spelt }) else {
        throw value.error(
          "there is no setting \"\(key)\" here",
          remedy: Spelling.remedy(for: spelt, allowed: settings.map { Spelling.kebab($0.label) }))
      }
      guard !settings[index].isRead else {
        throw value.error(
          "\"\(spelt)\" is set twice, in two spellings", remedy: "Keep one of the two lines")
      }
      settings[index].isRead = true
      merged[settings[index].label] = try json(of: value, like: settings[index].value)
    }
    return merged
  }

  /// A value of the file as JSON of the kind that the default has.
  private static func json(
    of node: ConfigurationNode, like standard: Any
  ) throws(ApusError) -> Any {
    if let group = standard as? any OptionGroup { return try overlay(node, on: group) }
    return try json(of: node, as: Mirror(reflecting: standard).subjectType)
  }

  /// A value of the file as JSON of the kind that a type has.
  private static func json(of node: ConfigurationNode, as type: Any.Type) throws(ApusError) -> Any {
    switch type {
    case let optional as any OptionalSetting.Type:
      return isNull(node) ? NSNull() : try json(of: node, as: optional.wrapped)
    case let group as any OptionGroup.Type: return try overlay(node, on: group.init())
    case let choice as any (CaseIterable & RawRepresentable).Type:
      return try SettingScalar.choice(of: choice, in: node)
    case let whole as any FixedWidthInteger.Type: return try SettingScalar.whole(whole, in: node)
    case is any BinaryFloatingPoint.Type: return try SettingScalar.number(node)
    case is Bool.Type: return try SettingScalar.truth(node)
    case is String.Type:
      guard !isNull(node) else {
        throw node.error("expected a text, found nothing", remedy: "Write a text, \"\" for none")
      }
      return try SettingScalar.text(node)
    case let list as any ListSetting.Type:
      guard let count = node.node?.sequence?.count else {
        throw node.error("expected a list", remedy: "Write it as [a, b]")
      }
      var elements: [Any] = []
      for index in 0..<count { elements.append(try json(of: node[index], as: list.element)) }
      return elements
    case let table as any TableSetting.Type:
      guard node.node?.mapping != nil else {
        throw node.error("expected a section", remedy: "Write it as name: value, one a line")
      }
      var members: [String: Any] = [:]
      for (key, value) in try node.members() {
        members[key] = try json(of: value, as: table.value)
      }
      return members
    default: return try untyped(node)
    }
  }

  /// A value whose type has a decoder of its own; a scalar becomes what YAML says it is.
  private static func untyped(_ node: ConfigurationNode) throws(ApusError) -> Any {
    if let sequence = node.node?.sequence {
      var elements: [Any] = []
      for index in sequence.indices { elements.append(try untyped(node[index])) }
      return elements
    }
    if node.node?.mapping != nil {
      var members: [String: Any] = [:]
      for (key, value) in try node.members() { members[key] = try untyped(value) }
      return members
    }
    guard let value = node.node, !isNull(node) else { return NSNull() }
    if value.scalar?.style == .plain {
      if let whole = value.int { return whole }
      if let number = value.float, number.isFinite { return number }
      if let truth = value.bool { return truth }
    }
    return try SettingScalar.text(node)
  }

  private static func isNull(_ node: ConfigurationNode) -> Bool {
    guard let scalar = node.node?.scalar else { return false }
    return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  private static func json(_ value: some Encodable) -> Any? {
    (try? encoder.encode(value)).flatMap {
      try? JSONSerialization.jsonObject(with: $0, options: .fragmentsAllowed)
    }
  }

  // JSON has no infinity, which some defaults are.
  private static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }

  private static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }

  /// What the decoder did not accept, at the line of the file where it stands.
  private static func refusal(_ error: any Error, of node: ConfigurationNode) -> ApusError {
    var place = node
    var problem = "the value does not fit"
    if let error = error as? DecodingError {
      switch error {
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .keyNotFound(_, let context), .dataCorrupted(let context):
        for key in context.codingPath {
          place = key.intValue.map { place[$0] } ?? place[key.stringValue]
        }
        problem = context.debugDescription.trimmingCharacters(in: ["."])
      @unknown default: break
      }
    }
    return ApusError(
      .invalidConfig, at: place.place, problem, remedy: "Give a value of the right kind",
      cause: error)
  }
}

/// A setting that may be null.
private protocol OptionalSetting {
  static var wrapped: Any.Type { get }
}

extension Optional: OptionalSetting {
  static var wrapped: Any.Type { Wrapped.self }
}

/// A setting with any number of values in order.
private protocol ListSetting {
  static var element: Any.Type { get }
}

extension Array: ListSetting {
  static var element: Any.Type { Element.self }
}

/// A setting with values by names of the user's choice.
private protocol TableSetting {
  static var value: Any.Type { get }
}

extension Dictionary: TableSetting where Key == String {
  static var value: Any.Type { Value.self }
}

import ApusBase

/// A value of a template: what Python would have, as far as chat templates need it.
enum TemplateValue {
  case undefined
  case null
  case bool(Bool)
  case int(Int)
  case float(Double)
  case text(String)
  case list([TemplateValue])
  case map(TemplateMap)
  case namespace(Namespace)
  case function(Function)

  /// Variables that a template may change from inside a loop.
  final class Namespace {
    var members: [String: TemplateValue]
    init(_ members: [String: TemplateValue]) { self.members = members }
  }

  /// Something that can be called with values by place and by name.
  struct Function {
    let call: (_ arguments: TemplateArguments) throws(ApusError) -> TemplateValue
  }

  /// Whether `if` takes it for true.
  var isTrue: Bool {
    switch self {
    case .undefined, .null: false
    case .bool(let flag): flag
    case .int(let number): number != 0
    case .float(let number): number != 0
    case .text(let text): !text.isEmpty
    case .list(let elements): !elements.isEmpty
    case .map(let map): !map.entries.isEmpty
    case .namespace, .function: true
    }
  }

  /// The text that a template prints for it.
  var printed: String {
    if case .text(let text) = self { return text }
    if case .undefined = self { return "" }
    return written
  }

  /// As Python writes the value in a list.
  private var written: String {
    switch self {
    case .undefined: return "Undefined"
    case .null: return "None"
    case .bool(let flag): return flag ? "True" : "False"
    case .int(let number): return "\(number)"
    case .float(let number): return "\(number)"
    case .text(let text):
      let quote = text.contains("'") && !text.contains("\"") ? "\"" : "'"
      let escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        .replacing("\t", with: "\\t").replacing("\r", with: "\\r")
      return quote + (quote == "'" ? escaped.replacing("'", with: "\\'") : escaped) + quote
    case .list(let elements): return "[\(elements.map(\.written).joined(separator: ", "))]"
    case .map(let map):
      let pairs = map.entries.map { "\(TemplateValue.text($0.key).written): \($0.value.written)" }
      return "{\(pairs.joined(separator: ", "))}"
    case .namespace: return "<Namespace>"
    case .function: return "<function>"
    }
  }

  /// The kind, for errors.
  var kind: String {
    switch self {
    case .undefined: "nothing"
    case .null: "none"
    case .bool: "a truth value"
    case .int, .float: "a number"
    case .text: "a text"
    case .list: "a list"
    case .map: "a mapping"
    case .namespace: "a namespace"
    case .function: "a function"
    }
  }

  /// The number, whole or not; a truth value counts as 0 or 1.
  var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .float(let value): value
    case .bool(let flag): flag ? 1 : 0
    default: nil
    }
  }

  /// The whole number; a truth value counts as 0 or 1.
  var whole: Int? {
    switch self {
    case .int(let value): value
    case .bool(let flag): flag ? 1 : 0
    default: nil
    }
  }
}

/// A mapping that keeps the order in which its members came.
struct TemplateMap {
  var entries: [(key: String, value: TemplateValue)] = []

  subscript(key: String) -> TemplateValue? {
    get { entries.first { $0.key == key }?.value }
    set {
      guard let newValue else { return }
      if let place = entries.firstIndex(where: { $0.key == key }) {
        entries[place].value = newValue
      } else {
        entries.append((key, newValue))
      }
    }
  }
}

/// What stands in the parentheses of a call.
struct TemplateArguments {
  var placed: [TemplateValue] = []
  var named: [String: TemplateValue] = [:]

  /// An argument by its place or its name.
  func value(_ place: Int, _ name: String) -> TemplateValue? {
    placed.indices.contains(place) ? placed[place] : named[name]
  }
}

extension TemplateValue: Equatable {
  static func == (a: TemplateValue, b: TemplateValue) -> Bool {
    switch (a, b) {
    case (.undefined, .undefined), (.null, .null): true
    case (.text(let x), .text(let y)): x.unicodeScalars.elementsEqual(y.unicodeScalars)
    case (.list(let x), .list(let y)): x == y
    case (.map(let x), .map(let y)):
      x.entries.count == y.entries.count && x.entries.allSatisfy { y[$0.key] == $0.value }
    case (.namespace(let x), .namespace(let y)): x === y
    default: a.number != nil && a.number == b.number
    }
  }

  /// Whether one comes before the other; nil if they cannot be compared.
  func isBefore(_ other: TemplateValue) -> Bool? {
    if let a = number, let b = other.number { return a < b }
    guard case .text(let a) = self, case .text(let b) = other else { return nil }
    return a.unicodeScalars.lexicographicallyPrecedes(b.unicodeScalars)
  }
}

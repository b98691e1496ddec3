import ApusBase

extension TemplateInterpreter {
  /// The value of an expression.
  func evaluate(_ expression: TemplateExpression) throws(ApusError) -> TemplateValue {
    switch expression {
    case .literal(let value): return value
    case .name(let name):
      let value = variable(name)
      if case .undefined = value { return TemplateFunctions.named[name] ?? .undefined }
      return value
    case .list(let elements): return .list(try values(elements))
    case .map(let entries):
      var map = TemplateMap()
      for (key, value) in entries { map[try evaluate(key).printed] = try evaluate(value) }
      return .map(map)
    case .member(let object, let name): return try member(name, of: try evaluate(object))
    case .element(let object, let index):
      return try element(try evaluate(index), of: try evaluate(object))
    case .slice(let object, let from, let to, let step):
      return try slice(try evaluate(object), from, to, step)
    case .call(let function, let call): return try self.call(function, call)
    case .filter(let value, let name, let call):
      return try TemplateFilters.apply(
        name, to: try evaluate(value), try arguments(call), place: place)
    case .test(let value, let name, let call):
      return .bool(
        try TemplateTests.holds(
          name, for: try evaluate(value), try arguments(call), place: place))
    case .not(let inner): return .bool(!(try evaluate(inner).isTrue))
    case .negative(let inner):
      return try arithmetic("-", .int(0), try evaluate(inner))
    case .binary(let sign, let left, let right): return try binary(sign, left, right)
    case .conditional(let outcome, let condition, let other):
      if try evaluate(condition).isTrue { return try evaluate(outcome) }
      return try other.map { (other) throws(ApusError) in try evaluate(other) } ?? .undefined
    }
  }

  private func values(_ expressions: [TemplateExpression]) throws(ApusError) -> [TemplateValue] {
    var values: [TemplateValue] = []
    for expression in expressions { values.append(try evaluate(expression)) }
    return values
  }

  private func arguments(_ call: TemplateCall) throws(ApusError) -> TemplateArguments {
    var arguments = TemplateArguments(placed: try values(call.placed))
    for (name, value) in call.named { arguments.named[name] = try evaluate(value) }
    return arguments
  }

  /// A function, or a method of a value.
  private func call(
    _ function: TemplateExpression, _ call: TemplateCall
  ) throws(ApusError) -> TemplateValue {
    let arguments = try arguments(call)
    if case .member(let object, let name) = function {
      let owner = try evaluate(object)
      if case .function(let own) = try member(name, of: owner) { return try own.call(arguments) }
      return try TemplateMethods.call(name, of: owner, arguments, place: place)
    }
    let value = try evaluate(function)
    guard case .function(let found) = value else {
      let name = if case .name(let name) = function { "\"\(name)\"" } else { value.kind }
      throw error("\(name) cannot be called")
    }
    return try found.call(arguments)
  }

  private func member(_ name: String, of value: TemplateValue) throws(ApusError) -> TemplateValue {
    switch value {
    case .map(let map): return map[name] ?? .undefined
    case .namespace(let namespace): return namespace.members[name] ?? .undefined
    case .undefined: throw error("\"\(name)\" of something that is not there is asked for")
    default: return .undefined
    }
  }

  private func element(
    _ index: TemplateValue, of value: TemplateValue
  ) throws(ApusError) -> TemplateValue {
    if case .text(let key) = index { return try member(key, of: value) }
    if case .undefined = value { throw error("an element of something that is not there") }
    guard let place = index.whole, let elements = value.elements else { return .undefined }
    let positive = place < 0 ? place + elements.count : place
    return elements.indices.contains(positive) ? elements[positive] : .undefined
  }

  private func slice(
    _ value: TemplateValue, _ from: TemplateExpression?, _ to: TemplateExpression?,
    _ step: TemplateExpression?
  ) throws(ApusError) -> TemplateValue {
    guard let elements = value.elements else { throw error("\(value.kind) has no slices") }
    func bound(_ expression: TemplateExpression?) throws(ApusError) -> Int? {
      guard let expression else { return nil }
      let found = try evaluate(expression)
      if case .null = found { return nil }
      guard let whole = found.whole else { throw error("a bound of a slice is \(found.kind)") }
      return whole
    }
    let stride = try bound(step) ?? 1
    guard stride != 0, stride.magnitude < 1 << 30 else { throw error("a slice has no step") }
    let count = elements.count
    // Python's rule: negative bounds count from the end, all are cut to what there is.
    let (low, high) = stride > 0 ? (0, count) : (-1, count - 1)
    func place(_ bound: Int?, _ fallback: Int) -> Int {
      guard let bound else { return fallback }
      let positive = bound < 0 ? bound.addingReportingOverflow(count).partialValue : bound
      return min(max(positive, low), high)
    }
    let start = place(try bound(from), stride > 0 ? 0 : count - 1)
    let end = place(try bound(to), stride > 0 ? count : -1)
    let kept = Swift.stride(from: start, to: end, by: stride).map { elements[$0] }
    guard case .text = value else { return .list(kept) }
    return .text(kept.map(\.printed).joined())
  }

  private func binary(
    _ sign: String, _ left: TemplateExpression, _ right: TemplateExpression
  ) throws(ApusError) -> TemplateValue {
    let a = try evaluate(left)
    if sign == "and" { return a.isTrue ? try evaluate(right) : a }
    if sign == "or" { return a.isTrue ? a : try evaluate(right) }
    let b = try evaluate(right)
    switch sign {
    case "==": return .bool(a == b)
    case "!=": return .bool(a != b)
    case "~": return .text(a.printed + b.printed)
    case "in": return .bool(try contains(b, a))
    case "not in": return .bool(!(try contains(b, a)))
    case "<", "<=", ">", ">=":
      guard let isBefore = a.isBefore(b), let isBehind = b.isBefore(a) else {
        throw error("\(a.kind) and \(b.kind) have no order")
      }
      switch sign {
      case "<": return .bool(isBefore)
      case "<=": return .bool(!isBehind)
      case ">": return .bool(isBehind)
      default: return .bool(!isBefore)
      }
    default: return try arithmetic(sign, a, b)
    }
  }

  /// Whether a text, a list or the keys of a mapping hold something.
  private func contains(
    _ whole: TemplateValue, _ part: TemplateValue
  ) throws(ApusError) -> Bool {
    if case .text(let text) = whole, case .text(let piece) = part {
      return piece.isEmpty || text.contains(piece)
    }
    guard let elements = whole.elements else { throw error("\(whole.kind) holds nothing") }
    return elements.contains(part)
  }

  private func arithmetic(
    _ sign: String, _ a: TemplateValue, _ b: TemplateValue
  ) throws(ApusError) -> TemplateValue {
    if case .text(let x) = a, case .text(let y) = b, sign == "+" { return .text(x + y) }
    if case .list(let x) = a, case .list(let y) = b, sign == "+" { return .list(x + y) }
    if case .text(let text) = a, let count = b.whole, sign == "*" {
      guard count < 100_000 else { throw error("a text is repeated \(count) times") }
      return .text(String(repeating: text, count: max(0, count)))
    }
    guard let x = a.number, let y = b.number else {
      throw error("\(a.kind) and \(b.kind) cannot be joined by \"\(sign)\"")
    }
    if "/%".contains(sign.prefix(1)), y == 0 { throw error("something is divided by 0") }
    guard let m = a.whole, let n = b.whole, sign != "/" else {
      switch sign {
      case "+": return .float(x + y)
      case "-": return .float(x - y)
      case "*": return .float(x * y)
      case "/": return .float(x / y)
      case "//": return .float((x / y).rounded(.down))
      default: return .float(x - y * (x / y).rounded(.down))
      }
    }
    let (result, overflow): (Int, Bool) =
      switch sign {
      case "+": m.addingReportingOverflow(n)
      case "-": m.subtractingReportingOverflow(n)
      case "*": m.multipliedReportingOverflow(by: n)
      case "//": Self.floored(m, n, remainder: false)
      default: Self.floored(m, n, remainder: true)
      }
    guard !overflow else { throw error("a number is too large") }
    return .int(result)
  }

  /// Division towards minus infinity, as in Python.
  private static func floored(_ m: Int, _ n: Int, remainder: Bool) -> (Int, Bool) {
    let (quotient, overflow) = m.dividedReportingOverflow(by: n)
    guard !overflow else { return remainder ? (0, false) : (0, true) }
    let rest = m - quotient * n
    let isBelow = rest != 0 && (rest < 0) != (n < 0)
    return remainder
      ? (isBelow ? rest + n : rest, false) : (isBelow ? quotient - 1 : quotient, false)
  }
}

import ApusBase

extension TemplateExpressionParser {
  /// A literal, a name, or what stands in parentheses of some kind.
  mutating func primary() throws(ApusError) -> TemplateExpression {
    guard let symbol = next else { throw error("an expression is missing") }
    at += 1
    switch symbol {
    case .int(let number): return .literal(.int(number))
    case .float(let number): return .literal(.float(number))
    case .text(var text):
      while case .text(let more)? = next {  // texts side by side are one
        text += more
        at += 1
      }
      return .literal(.text(text))
    case .name(let name):
      switch name {
      case "true", "True": return .literal(.bool(true))
      case "false", "False": return .literal(.bool(false))
      case "none", "None": return .literal(.null)
      default: return .name(name)
      }
    case .sign("("): return try enclosed(")")
    case .sign("["): return try enclosed("]")
    case .sign("{"): return try mapping()
    case .sign: throw error("there is \(Self.spelled(symbol)) where a value should be")
    }
  }

  /// A list, a tuple, or an expression in parentheses.
  private mutating func enclosed(_ end: String) throws(ApusError) -> TemplateExpression {
    var elements: [TemplateExpression] = []
    var isTuple = end == "]"
    while !takes(sign: end) {
      elements.append(try expression())
      guard takes(sign: ",") else {
        try expect(sign: end)
        break
      }
      isTuple = true
    }
    return isTuple || elements.isEmpty ? .list(elements) : elements[0]
  }

  private mutating func mapping() throws(ApusError) -> TemplateExpression {
    var entries: [(TemplateExpression, TemplateExpression)] = []
    while !takes(sign: "}") {
      let key = try expression()
      try expect(sign: ":")
      entries.append((key, try expression()))
      if !takes(sign: ",") {
        try expect(sign: "}")
        break
      }
    }
    return .map(entries)
  }
}

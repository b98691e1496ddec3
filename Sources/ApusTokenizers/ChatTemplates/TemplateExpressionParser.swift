import ApusBase

/// Reads expressions from the symbols of one pair of braces.
struct TemplateExpressionParser {
  let symbols: [TemplateLexer.Symbol]
  private let place: String
  var at = 0
  private var depth = 0

  /// Expressions inside one another at most, so that no template can exhaust the stack.
  private static let deepest = 64
  /// Operations one after the other at most, for they are computed inside one another.
  private static let longest = 200
  private var links = 0

  init(_ symbols: [TemplateLexer.Symbol], place: String) {
    self.symbols = symbols
    self.place = place
  }

  /// The first word, which names a statement.
  var first: String? {
    guard case .name(let word)? = symbols.first else { return nil }
    return word
  }

  var next: TemplateLexer.Symbol? { symbols.indices.contains(at) ? symbols[at] : nil }

  /// Everything that is left, as one expression.
  mutating func whole() throws(ApusError) -> TemplateExpression {
    var found = try expression()
    if takes(sign: ",") {  // a tuple without parentheses
      var elements = [found]
      while next != nil {
        elements.append(try expression())
        if !takes(sign: ",") { break }
      }
      found = .list(elements)
    }
    try finish()
    return found
  }

  /// Requires that nothing is left.
  func finish() throws(ApusError) {
    guard let next else { return }
    throw error("there is \(Self.spelled(next)) where the expression should end")
  }

  mutating func word() throws(ApusError) -> String {
    guard case .name(let name)? = next else {
      throw error("a name is missing before \(next.map(Self.spelled) ?? "the end")")
    }
    at += 1
    return name
  }

  /// Names with commas between them.
  mutating func names() throws(ApusError) -> [String] {
    let isEnclosed = takes(sign: "(")
    var names = [try word()]
    while takes(sign: ",") { names.append(try word()) }
    if isEnclosed { try expect(sign: ")") }
    return names
  }

  /// Counts an operation.
  private mutating func link() throws(ApusError) {
    links += 1
    guard links <= Self.longest else { throw error("an expression is too long") }
  }

  mutating func takes(sign: String) -> Bool {
    guard next == .sign(sign) else { return false }
    at += 1
    return true
  }

  mutating func takes(word: String) -> Bool {
    guard next == .name(word) else { return false }
    at += 1
    return true
  }

  mutating func expect(sign: String) throws(ApusError) {
    guard takes(sign: sign) else {
      throw error("\"\(sign)\" is missing before \(next.map(Self.spelled) ?? "the end")")
    }
  }

  mutating func expect(word: String) throws(ApusError) {
    guard takes(word: word) else {
      throw error("\"\(word)\" is missing before \(next.map(Self.spelled) ?? "the end")")
    }
  }

  /// A condition with its two outcomes, or anything simpler.
  mutating func expression() throws(ApusError) -> TemplateExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw error("expressions are nested too deeply") }
    let outcome = try withoutCondition()
    guard takes(word: "if") else { return outcome }
    let condition = try withoutCondition()
    let other = takes(word: "else") ? try expression() : nil
    return .conditional(outcome, if: condition, else: other)
  }

  /// An expression that no `if` follows: `or` of `and` of negations of comparisons.
  mutating func withoutCondition() throws(ApusError) -> TemplateExpression {
    var left = try conjunction()
    while takes(word: "or") {
      try link()
      left = .binary("or", left, try conjunction())
    }
    return left
  }

  private mutating func conjunction() throws(ApusError) -> TemplateExpression {
    var left = try negation()
    while takes(word: "and") {
      try link()
      left = .binary("and", left, try negation())
    }
    return left
  }

  private mutating func negation() throws(ApusError) -> TemplateExpression {
    var count = 0
    while takes(word: "not") { count += 1 }
    let inner = try comparison()
    return count.isMultiple(of: 2) ? inner : .not(inner)
  }

  private mutating func comparison() throws(ApusError) -> TemplateExpression {
    var left = try sum()
    var all: TemplateExpression?
    while true {
      var sign: String?
      if case .sign(let found)? = next, ["==", "!=", "<", "<=", ">", ">="].contains(found) {
        sign = found
        at += 1
      } else if takes(word: "in") {
        sign = "in"
      } else if next == .name("not"), symbols.indices.contains(at + 1),
        symbols[at + 1] == .name("in")
      {
        sign = "not in"
        at += 2
      }
      guard let sign else { return all ?? left }
      try link()
      let right = try sum()
      let one = TemplateExpression.binary(sign, left, right)
      all = all.map { .binary("and", $0, one) } ?? one
      left = right
    }
  }

  private mutating func sum() throws(ApusError) -> TemplateExpression {
    var left = try joint()
    while case .sign(let sign)? = next, ["+", "-"].contains(sign) {
      at += 1
      try link()
      left = .binary(sign, left, try joint())
    }
    return left
  }

  private mutating func joint() throws(ApusError) -> TemplateExpression {
    var left = try product()
    while takes(sign: "~") {
      try link()
      left = .binary("~", left, try product())
    }
    return left
  }

  private mutating func product() throws(ApusError) -> TemplateExpression {
    var left = try signed()
    while case .sign(let sign)? = next, ["*", "/", "//", "%"].contains(sign) {
      at += 1
      try link()
      left = .binary(sign, left, try signed())
    }
    return left
  }

  private mutating func signed() throws(ApusError) -> TemplateExpression {
    var isNegative = false
    while case .sign(let sign)? = next, ["+", "-"].contains(sign) {
      at += 1
      if sign == "-" { isNegative.toggle() }
    }
    let inner = try suffixed()
    return isNegative ? .negative(inner) : inner
  }

  /// A value with members, calls, filters and tests behind it.
  private mutating func suffixed() throws(ApusError) -> TemplateExpression {
    var value = try primary()
    while true {
      try link()
      if takes(sign: ".") {
        if case .int(let index)? = next {
          at += 1
          value = .element(value, .literal(.int(index)))
        } else {
          value = .member(value, try word())
        }
      } else if takes(sign: "[") {
        value = try element(of: value)
      } else if next == .sign("(") {
        value = .call(value, try arguments())
      } else if takes(sign: "|") {
        let name = try word()
        value = .filter(value, name, next == .sign("(") ? try arguments() : TemplateCall())
      } else if takes(word: "is") {
        value = try test(of: value)
      } else {
        return value
      }
    }
  }

  private mutating func test(of value: TemplateExpression) throws(ApusError) -> TemplateExpression {
    let isNegated = takes(word: "not")
    let name = try word()
    var call = TemplateCall()
    if next == .sign("(") {
      call = try arguments()
    } else if ["equalto", "eq", "divisibleby", "in", "sameas"].contains(name) {
      call.placed = [try primary()]
    }
    let test = TemplateExpression.test(value, name, call)
    return isNegated ? .not(test) : test
  }

  private mutating func element(
    of value: TemplateExpression
  ) throws(ApusError) -> TemplateExpression {
    var bounds: [TemplateExpression?] = [nil]
    while !takes(sign: "]") {
      if takes(sign: ":") {
        bounds.append(nil)
      } else {
        bounds[bounds.count - 1] = try expression()
      }
    }
    if bounds.count == 1, let index = bounds[0] { return .element(value, index) }
    guard (2...3).contains(bounds.count) else { throw error("an index is missing in [ ]") }
    return .slice(
      value, from: bounds[0], to: bounds[1], step: bounds.count == 3 ? bounds[2] : nil)
  }

  private mutating func arguments() throws(ApusError) -> TemplateCall {
    try expect(sign: "(")
    var call = TemplateCall()
    while !takes(sign: ")") {
      if case .name(let name)? = next, symbols.indices.contains(at + 1),
        symbols[at + 1] == .sign("=")
      {
        at += 2
        call.named.append((name, try expression()))
      } else {
        call.placed.append(try expression())
      }
      if !takes(sign: ",") {
        try expect(sign: ")")
        break
      }
    }
    return call
  }

  static func spelled(_ symbol: TemplateLexer.Symbol) -> String {
    switch symbol {
    case .name(let text), .sign(let text): "\"\(text)\""
    case .text(let text): "the text \"\(text)\""
    case .int(let number): "\(number)"
    case .float(let number): "\(number)"
    }
  }

  func error(_ problem: String) -> ApusError {
    ApusError(
      .invalidFile, at: place, problem, remedy: "Restore the file from the checkpoint's source")
  }
}

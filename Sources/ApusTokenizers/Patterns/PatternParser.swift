import ApusBase

/// Reads the syntax of a regular expression, as Oniguruma understands it.
struct PatternParser {
  let scalars: [Unicode.Scalar]
  private let place: String
  var position = 0
  private(set) var ignoresCase = false
  var depth = 0

  /// Deepest nesting of groups and classes.
  static let depthLimit = 60

  init(_ pattern: String, at place: String) {
    scalars = Array(pattern.unicodeScalars)
    self.place = place
  }

  /// The whole pattern.
  mutating func parse() throws(ApusError) -> PatternNode {
    let node = try alternatives()
    guard position == scalars.count else { throw malformed("there is a ) too many") }
    return node
  }

  private mutating func alternatives() throws(ApusError) -> PatternNode {
    depth += 1
    guard depth < Self.depthLimit else { throw unknown("groups nested this deep") }
    defer { depth -= 1 }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(ApusError) -> PatternNode {
    var parts: [PatternNode] = []
    while let next = peek, next != "|", next != ")" {
      parts.append(try quantified(try atom()))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func quantified(_ atom: PatternNode) throws(ApusError) -> PatternNode {
    var node = atom
    while let (min, max, isInterval) = try quantifier() {
      var mode = PatternNode.Mode.greedy
      if take("?") {
        mode = .lazy
      } else if !isInterval, take("+") {
        mode = .possessive
      }
      node = .repeated(node, min: min, max: max, mode: mode)
    }
    return node
  }

  private mutating func quantifier() throws(ApusError) -> (min: Int, max: Int, isInterval: Bool)? {
    if take("*") { return (0, .max, false) }
    if take("+") { return (1, .max, false) }
    if take("?") { return (0, 1, false) }
    guard peek == "{" else { return nil }
    let start = position
    position += 1
    let low = number()
    let isRange = take(",")
    let high = isRange ? number() : low
    guard take("}"), low != nil || high != nil else {
      position = start
      return nil
    }
    let (min, max) = (low ?? 0, high ?? .max)
    guard min <= max, min <= 1_000, max == .max || max <= 1_000 else {
      throw malformed("the repetition {\(min),\(max)} is not from 0 to 1000")
    }
    return (min, max, true)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let next = peek, (0x30...0x39).contains(next.value), value ?? 0 < 1_000_000 {
      value = (value ?? 0) * 10 + Int(next.value - 0x30)
      position += 1
    }
    return value
  }

  private mutating func atom() throws(ApusError) -> PatternNode {
    let next = try scalar()
    switch next {
    case "(": return try group()
    case "[": return .one(try characterClass())
    case ".": return .one(.dot)
    case "^": return .lineStart
    case "$": return .lineEnd
    case "*", "+", "?": throw malformed("there is nothing to repeat before \(next)")
    case "\\": return try escape()
    default: return .one(literal(next))
    }
  }

  private mutating func group() throws(ApusError) -> PatternNode {
    let outer = ignoresCase
    defer { ignoresCase = outer }
    var wrap: (PatternNode) -> PatternNode = { $0 }
    var isLookbehind: Bool?  // whether it is negated
    if take("?") {
      switch try scalar() {
      case ":": break
      case "=": wrap = { .lookahead($0, isNegated: false) }
      case "!": wrap = { .lookahead($0, isNegated: true) }
      case ">": wrap = { .atomic($0) }
      case "<" where peek == "=" || peek == "!": isLookbehind = try scalar() == "!"
      case "i" where take(":"): ignoresCase = true
      case "i" where take(")"):
        // Holds for the rest of the group around it.
        ignoresCase = true
        return try alternatives()
      default: throw unknown("this kind of group")
      }
    }
    let content = try alternatives()
    guard take(")") else { throw malformed("a ) is missing") }
    guard let isNegated = isLookbehind else { return wrap(content) }
    return .lookbehind(try Self.oneScalar(content, unknown), isNegated: isNegated)
  }

  /// The set that a lookbehind looks for.
  private static func oneScalar(
    _ node: PatternNode, _ unknown: (String) -> ApusError
  ) throws(ApusError) -> ScalarSet {
    switch node {
    case .one(let set): return set
    case .alternatives(let parts):
      var union = ScalarSet()
      for part in parts { union.formUnion(try oneScalar(part, unknown)) }
      return union
    default: throw unknown("a lookbehind at more than one character")
    }
  }

  private mutating func escape() throws(ApusError) -> PatternNode {
    if let set = try classEscape() { return .one(set) }
    switch peek {
    case "A": return anchor(.textStart)
    case "z": return anchor(.textEnd(allowsLineFeed: false))
    case "Z": return anchor(.textEnd(allowsLineFeed: true))
    case "b": return anchor(.wordBoundary(isNegated: false))
    case "B": return anchor(.wordBoundary(isNegated: true))
    default: return .one(literal(try escapedScalar()))
    }
  }

  private mutating func anchor(_ node: PatternNode) -> PatternNode {
    position += 1
    return node
  }

  mutating func escapedScalar() throws(ApusError) -> Unicode.Scalar {
    let letter = try scalar()
    switch letter {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "f": return "\u{0C}"
    case "v": return "\u{0B}"
    case "a": return "\u{07}"
    case "e": return "\u{1B}"
    case "u": return try hexadecimal(digits: 4)
    case "x" where take("{"):
      let value = try hexadecimal(digits: 8)
      guard take("}") else { throw malformed("a } is missing") }
      return value
    case "x": return try hexadecimal(digits: 2)
    default:
      let isPlain = !ScalarSet.word.contains(letter)
      guard isPlain else { throw unknown("the escape \\\(letter)") }
      return letter
    }
  }

  private mutating func hexadecimal(digits: Int) throws(ApusError) -> Unicode.Scalar {
    let text = scalars[position...].prefix(digits).prefix { $0.properties.isASCIIHexDigit }
    position += text.count
    guard let value = UInt32(String(String.UnicodeScalarView(text)), radix: 16),
      let scalar = Unicode.Scalar(value)
    else { throw malformed("a hexadecimal character is wrong") }
    return scalar
  }

  /// The set of one scalar, with its other case where case is ignored.
  func literal(_ scalar: Unicode.Scalar) -> ScalarSet {
    guard ignoresCase else { return ScalarSet([scalar]) }
    var all = [scalar]
    let properties = scalar.properties
    for mapping in [properties.lowercaseMapping, properties.uppercaseMapping] {
      let mapped = mapping.unicodeScalars
      if mapped.count == 1, let other = mapped.first, other != scalar { all.append(other) }
    }
    if all.contains("s") { all.append("\u{17F}") }  // long s
    if all.contains("k") { all.append("\u{212A}") }  // Kelvin sign
    return ScalarSet(all)
  }

  var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard peek == scalar else { return false }
    position += 1
    return true
  }

  mutating func scalar() throws(ApusError) -> Unicode.Scalar {
    guard let next = peek else { throw malformed("it ends too early") }
    position += 1
    return next
  }

  func malformed(_ problem: String) -> ApusError {
    ApusError(
      .invalidFile, at: place, "the regular expression is malformed: \(problem)",
      remedy: "Restore the file from its source")
  }

  func unknown(_ feature: String) -> ApusError {
    ApusError(
      .unsupported, at: place, "the regular expression uses \(feature), which Apus lacks",
      remedy: "Rewrite the pattern, or use another tokenizer")
  }
}

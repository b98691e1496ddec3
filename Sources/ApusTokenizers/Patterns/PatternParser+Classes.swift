import ApusBase

extension PatternParser {
  /// What stands behind a bracket, up to the closing one.
  mutating func characterClass() throws(ApusError) -> ScalarSet {
    depth += 1
    guard depth < Self.depthLimit else { throw unknown("classes nested this deep") }
    defer { depth -= 1 }
    let isNegated = take("^")
    var (set, isFirst) = (ScalarSet(), true)
    while isFirst || peek != "]" {
      let next = try scalar()
      if next == "&", peek == "&" {
        position += 1
        let rest = try intersectionOperand()
        set = set.intersection(rest)
        break
      }
      if next == "[" {
        set.formUnion(try peek == ":" ? posixClass() : characterClass())
      } else if next == "\\", let escaped = try classEscape() {
        set.formUnion(escaped)
      } else {
        let low = next == "\\" ? try escapedScalar() : next
        set.formUnion(try range(from: low))
      }
      isFirst = false
    }
    guard take("]") else { throw malformed("a ] is missing") }
    return isNegated ? set.inverted : set
  }

  /// The rest of a class behind `&&`, without its closing bracket.
  private mutating func intersectionOperand() throws(ApusError) -> ScalarSet {
    let set = try characterClass()
    position -= 1
    return set
  }

  private mutating func range(from low: Unicode.Scalar) throws(ApusError) -> ScalarSet {
    guard peek == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
      return literal(low)
    }
    position += 1
    var high = try scalar()
    guard high != "[" else { throw unknown("a range to a class") }
    if high == "\\" { high = try escapedScalar() }
    guard low.value <= high.value else { throw malformed("the range \(low)-\(high) is empty") }
    var set = ScalarSet(ranges: [low.value...high.value])
    guard ignoresCase else { return set }
    for value in UInt8(ascii: "a")...UInt8(ascii: "z") {
      let (lower, upper) = (Unicode.Scalar(value), Unicode.Scalar(value - 32))
      if set.contains(lower) || set.contains(upper) { set.formUnion(literal(lower)) }
    }
    return set
  }

  private mutating func posixClass() throws(ApusError) -> ScalarSet {
    let start = position
    while peek != nil, peek != "]" { position += 1 }
    guard take("]") else { throw malformed("a ] is missing") }
    let name = String(String.UnicodeScalarView(scalars[start..<position]))
    switch name {
    case ":alpha:]": return ScalarSet(categories: ScalarCategory.masks["L"] ?? 0)
    case ":digit:]": return .digits
    case ":space:]": return .whitespace
    case ":punct:]": return ScalarSet(categories: ScalarCategory.masks["P"] ?? 0)
    default: throw unknown("the class [\(name)")
    }
  }

  /// The set that stands behind a backslash, or nil if it is no set.
  mutating func classEscape() throws(ApusError) -> ScalarSet? {
    let set: ScalarSet
    switch peek {
    case "s": set = .whitespace
    case "S": set = ScalarSet.whitespace.inverted
    case "d": set = .digits
    case "D": set = ScalarSet.digits.inverted
    case "w": set = .word
    case "W": set = ScalarSet.word.inverted
    case "h": set = ScalarSet(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66])
    case "p", "P":
      let isNegated = peek == "P"
      position += 1
      return try property(isNegated: isNegated)
    default: return nil
    }
    position += 1
    return set
  }

  private mutating func property(isNegated: Bool) throws(ApusError) -> ScalarSet {
    guard take("{") else { throw malformed("\\p is not followed by {") }
    let isNegated = take("^") != isNegated
    let start = position
    while peek != nil, peek != "}" { position += 1 }
    let name = String(String.UnicodeScalarView(scalars[start..<position]))
    guard take("}") else { throw malformed("a } is missing") }
    guard let mask = ScalarCategory.masks[name] else { throw unknown("the property \(name)") }
    let set = ScalarSet(categories: mask)
    return isNegated ? set.inverted : set
  }
}

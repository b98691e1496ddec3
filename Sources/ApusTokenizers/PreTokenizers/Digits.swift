import ApusBase

/// Cuts around numbers, or around each digit of them.
struct Digits: PreTokenizer {
  let behavior: SplitBehavior

  init(reading node: JSONNode) throws(ApusError) {
    behavior = try node["individual_digits"].bool() ? .isolated : .contiguous
  }

  func preTokenize(_ text: inout SplitText) {
    text.splitEach { text, range, pieces in
      behavior.split(range, into: &pieces) { Self.isNumber(text.scalars[$0]) }
    }
  }

  @inline(__always)
  private static func isNumber(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x80 { return (0x30...0x39).contains(scalar.value) }
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: return true
    default: return false
    }
  }
}

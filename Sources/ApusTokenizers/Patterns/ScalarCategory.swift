/// General categories as small numbers, from a table for the first two planes.
///
/// They are those of Unicode 16, as in Oniguruma: what is younger counts as unassigned.
enum ScalarCategory {
  /// The number of a scalar's category, below 32.
  @inline(__always)
  static func of(_ scalar: Unicode.Scalar) -> UInt8 {
    let value = Int(scalar.value)
    return value < table.count ? table[value] : number(of: scalar)
  }

  private static let table: ContiguousArray<UInt8> = ContiguousArray(
    (UInt32(0)..<0x2_0000).map { value in Unicode.Scalar(value).map(number(of:)) ?? surrogate })

  private static let surrogate: UInt8 = 28

  /// Categories in the order of their numbers, each by its two letters.
  private static let names: [(Unicode.GeneralCategory, String)] = [
    (.unassigned, "Cn"), (.uppercaseLetter, "Lu"), (.lowercaseLetter, "Ll"),
    (.titlecaseLetter, "Lt"), (.modifierLetter, "Lm"), (.otherLetter, "Lo"),
    (.nonspacingMark, "Mn"), (.spacingMark, "Mc"), (.enclosingMark, "Me"),
    (.decimalNumber, "Nd"), (.letterNumber, "Nl"), (.otherNumber, "No"),
    (.connectorPunctuation, "Pc"), (.dashPunctuation, "Pd"), (.openPunctuation, "Ps"),
    (.closePunctuation, "Pe"), (.initialPunctuation, "Pi"), (.finalPunctuation, "Pf"),
    (.otherPunctuation, "Po"), (.mathSymbol, "Sm"), (.currencySymbol, "Sc"),
    (.modifierSymbol, "Sk"), (.otherSymbol, "So"), (.spaceSeparator, "Zs"),
    (.lineSeparator, "Zl"), (.paragraphSeparator, "Zp"), (.control, "Cc"), (.format, "Cf"),
    (.surrogate, "Cs"), (.privateUse, "Co"),
  ]

  private static let numbers: [Unicode.GeneralCategory: UInt8] = Dictionary(
    uniqueKeysWithValues: names.enumerated().map { ($1.0, UInt8(truncatingIfNeeded: $0)) })

  private static func number(of scalar: Unicode.Scalar) -> UInt8 {
    scalar.unicodeAge > 16 ? 0 : numbers[scalar.properties.generalCategory] ?? 0
  }

  /// The bits of the categories that `\p{…}` may name, and of their groups such as `L`.
  static let masks: [String: UInt32] = {
    var masks: [String: UInt32] = ["Any": ~0]
    for (number, (_, name)) in names.enumerated() {
      masks[name, default: 0] |= 1 << UInt32(number)
      masks[String(name.prefix(1)), default: 0] |= 1 << UInt32(number)
    }
    let longNames = [
      "Letter": "L", "Mark": "M", "Number": "N", "Punctuation": "P", "Symbol": "S",
      "Separator": "Z", "Other": "C", "Upper": "Lu", "Lower": "Ll", "Punct": "P", "Digit": "Nd",
    ]
    for (long, short) in longNames { masks[long] = masks[short] }
    return masks
  }()

  /// All scalars of some categories, as ranges.
  static func ranges(of categories: UInt32) -> [ClosedRange<UInt32>] {
    var ranges: [ClosedRange<UInt32>] = []
    var start: UInt32?
    for value in UInt32(0)...0x11_0000 {
      let belongs = Unicode.Scalar(value).map { categories & (1 << of($0)) != 0 } ?? false
      if belongs, start == nil { start = value }
      if !belongs, let first = start {
        ranges.append(first...(value - 1))
        start = nil
      }
    }
    return ranges
  }
}

/// What the pipeline asks about a Unicode scalar, as the Rust crates behind `tokenizers` answer it.
///
/// The crates carry tables of different ages: general categories are those of Unicode 8
/// (`unicode_categories`), combining marks those of Unicode 9 (`unicode-normalization-alignments`),
/// word characters those of Unicode 16 (`regex`). A scalar that is younger than its table has none
/// of the table's traits: a punctuation mark of Unicode 15 does not split words. The few scalars
/// whose category changed since then are listed by name. `UnicodeParity` compares every scalar.
struct ScalarTraits: OptionSet, Sendable {
  let rawValue: UInt8

  /// A control, format or private-use character other than tab, line feed and carriage return.
  static let control = ScalarTraits(rawValue: 1 << 0)
  /// White_Space, which includes tab, line feed and carriage return.
  static let whitespace = ScalarTraits(rawValue: 1 << 1)
  /// Any punctuation category, or an ASCII symbol such as `$` or `^`.
  static let punctuation = ScalarTraits(rawValue: 1 << 2)
  /// A nonspacing mark (Mn), which BERT's accent stripping removes.
  static let nonspacing = ScalarTraits(rawValue: 1 << 3)
  /// Any combining mark (Mn, Mc, Me), which the normalizer StripAccents removes.
  static let mark = ScalarTraits(rawValue: 1 << 4)
  /// What `\w` matches: alphabetic, mark, decimal digit, connector or join control.
  static let word = ScalarTraits(rawValue: 1 << 5)
  /// Lowercasing gives something else.
  static let cased = ScalarTraits(rawValue: 1 << 6)

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The traits of a scalar, from a table for the first two planes.
  @inline(__always)
  init(of scalar: Unicode.Scalar) {
    let value = Int(scalar.value)
    self = value < Self.table.count ? Self.table[value] : ScalarTraits(computing: scalar)
  }

  private static let table: ContiguousArray<ScalarTraits> = ContiguousArray(
    (UInt32(0)..<0x2_0000).map { value in
      Unicode.Scalar(value).map { ScalarTraits(computing: $0) } ?? []
    })

  private init(computing scalar: Unicode.Scalar) {
    let properties = scalar.properties
    let age = scalar.unicodeAge
    let category = properties.generalCategory
    var traits: ScalarTraits = []
    if properties.isWhitespace { traits.insert(.whitespace) }
    if properties.changesWhenLowercased { traits.insert(.cased) }
    if age <= 16 {
      if properties.isAlphabetic || properties.isJoinControl || category.isMark
        || category == .decimalNumber || category == .connectorPunctuation
      {
        traits.insert(.word)
      }
    }
    if age <= 9, category.isMark, scalar != "\u{111C9}" { traits.insert(.mark) }
    if age <= 8 {
      switch category {
      case .control where scalar == "\t" || scalar == "\n" || scalar == "\r": break
      case .control, .format, .privateUse: traits.insert(.control)
      case .nonspacingMark: traits.insert(.nonspacing)
      case _ where category.isPunctuation: traits.insert(.punctuation)
      default: break
      }
    }
    self = traits.corrected(for: scalar)
  }

  /// Undoes the category changes that came after the crates' tables.
  private func corrected(for scalar: Unicode.Scalar) -> ScalarTraits {
    switch scalar.value {
    case 0x24, 0x2B, 0x3C...0x3E, 0x5E, 0x60, 0x7C, 0x7E: union(.punctuation)  // ASCII symbols
    case 0x166D: union(.punctuation)  // Po until Unicode 12
    case 0x1_11C9: subtracting(.nonspacing).union(.punctuation)  // Po until Unicode 11
    case 0x1734, 0x1_171E: union(.nonspacing)  // Mc since Unicode 14
    case 0x1885, 0x1886, 0xA9BD: subtracting(.nonspacing)  // Lo or Mc until Unicode 9 to 11
    case 0x1CF2, 0x1CF3: union(.mark)  // Lo since Unicode 12
    default: self
    }
  }
}

extension Unicode.Scalar {
  /// Major version of Unicode that assigned this scalar, rounded up; `Int.max` if none has yet.
  var unicodeAge: Int {
    guard let age = properties.age else { return .max }
    return age.minor == 0 ? age.major : age.major + 1
  }

  @inline(__always)
  func has(_ trait: ScalarTraits) -> Bool { ScalarTraits(of: self).contains(trait) }
}

extension Unicode.GeneralCategory {
  fileprivate var isMark: Bool {
    self == .nonspacingMark || self == .spacingMark || self == .enclosingMark
  }

  fileprivate var isPunctuation: Bool {
    switch self {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      true
    default: false
    }
  }
}

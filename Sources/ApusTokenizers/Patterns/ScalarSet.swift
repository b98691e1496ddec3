/// What a character class of a pattern matches: some categories, some ranges, or all but those.
struct ScalarSet: Sendable, Equatable {
  /// One bit per general category.
  private(set) var categories: UInt32
  private(set) var ranges: [ClosedRange<UInt32>]
  private(set) var isNegated = false
  /// Which of the 128 ASCII characters belong, the others being looked up by category and range.
  private(set) var ascii = ASCIISet()

  init(categories: UInt32 = 0, ranges: [ClosedRange<UInt32>] = []) {
    self.categories = categories
    self.ranges = ranges
    updateASCII()
  }

  init(_ scalars: [Unicode.Scalar]) {
    self.init(ranges: scalars.map { $0.value...$0.value })
  }

  @inline(__always)
  func contains(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x80 ? ascii.contains(scalar) : computed(scalar)
  }

  private func computed(_ scalar: Unicode.Scalar) -> Bool {
    let value = scalar.value
    if categories & (1 << ScalarCategory.of(scalar)) != 0 { return !isNegated }
    return ranges.contains { $0.contains(value) } != isNegated
  }

  /// Everything that is not in this set.
  var inverted: ScalarSet {
    var set = self
    set.isNegated.toggle()
    set.updateASCII()
    return set
  }

  /// Takes over what `other` contains.
  mutating func formUnion(_ other: ScalarSet) {
    let other = other.isNegated ? other.spelledOut : other
    categories |= other.categories
    ranges += other.ranges
    updateASCII()
  }

  /// What both sets contain.
  func intersection(_ other: ScalarSet) -> ScalarSet {
    // By De Morgan; the sets of patterns are small.
    var union = inverted
    if union.isNegated { union = union.spelledOut }
    union.formUnion(other.inverted)
    return union.inverted
  }

  /// The same set, not negated.
  private var spelledOut: ScalarSet {
    if ranges.isEmpty { return ScalarSet(categories: ~categories) }
    var bounds = ranges
    if categories != 0 { bounds += ScalarCategory.ranges(of: categories) }
    var (gaps, next) = ([ClosedRange<UInt32>](), UInt32(0))
    for range in bounds.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if range.lowerBound > next { gaps.append(next...(range.lowerBound - 1)) }
      next = max(next, range.upperBound + 1)
    }
    if next <= 0x10_FFFF { gaps.append(next...0x10_FFFF) }
    return ScalarSet(ranges: gaps)
  }

  private mutating func updateASCII() {
    ascii = ASCIISet()
    for value in UInt8(0)..<0x80 where computed(Unicode.Scalar(value)) { ascii.insert(value) }
  }
}

/// A set of ASCII characters, one bit each.
struct ASCIISet: Sendable, Equatable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  static let all = ASCIISet(low: ~0, high: ~0)

  init() {}

  private init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// Whether `scalar`, which must be ASCII, belongs.
  @inline(__always)
  func contains(_ scalar: Unicode.Scalar) -> Bool {
    (scalar.value < 64 ? low : high) & (1 << UInt64(scalar.value & 63)) != 0
  }

  mutating func insert(_ value: UInt8) {
    if value < 64 { low |= 1 << UInt64(value) } else { high |= 1 << UInt64(value & 63) }
  }

  func union(_ other: ASCIISet) -> ASCIISet {
    ASCIISet(low: low | other.low, high: high | other.high)
  }
}

extension ScalarSet {
  /// What `\s` matches.
  static let whitespace = ScalarSet(ranges: [
    0x09...0x0D, 0x20...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A,
    0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000,
  ])
  /// What `\d` matches.
  static let digits = ScalarSet(categories: ScalarCategory.masks["Nd"] ?? 0)
  /// What `\w` matches: letters, marks, decimal digits, connectors and circled letters.
  static let word = ScalarSet(
    categories: ["L", "M", "Nd", "Nl", "Pc"].reduce(0) { $0 | (ScalarCategory.masks[$1] ?? 0) },
    ranges: [0x24B6...0x24E9, 0x1_F130...0x1_F149, 0x1_F150...0x1_F169, 0x1_F170...0x1_F189])
  /// What `.` matches: anything but a line feed.
  static let dot = ScalarSet(["\n"]).inverted
}

/// How often each class occurs at each client: one horizontal bar a client, split by class.
///
/// Bars are equally long, so that label skew shows at clients of any size; the count beside a bar
/// tells its size.
public struct StackedBars: Sendable {
  /// One client's row.
  public struct Bar: Sendable {
    /// Name of the client.
    public let name: String
    /// Examples of each class, in the order of the class names; missing ones are 0.
    public let counts: [Int]

    public init(_ name: String, _ counts: [Int]) {
      self.name = name
      self.counts = counts
    }

    /// Examples of all classes.
    public var total: Int { counts.reduce(0) { $0 + max(0, $1) } }
  }

  /// Heading.
  public let title: String
  /// Names of the classes.
  public let classNames: [String]
  /// The clients, from top to bottom.
  public let bars: [Bar]
  /// Most clients to draw; the rest is counted in a line below.
  public var limit: Int

  public init(title: String, classNames: [String], bars: [Bar], limit: Int = 40) {
    self.title = title
    self.classNames = classNames
    self.bars = bars
    self.limit = max(1, limit)
  }

  /// Bars that are drawn.
  var shownBars: ArraySlice<Bar> { bars.prefix(limit) }

  /// What a line below says about the bars that are not drawn.
  var remainder: String? {
    let hidden = bars.dropFirst(limit)
    guard !hidden.isEmpty else { return nil }
    let total = hidden.reduce(0) { $0 + $1.total }
    return "and \(Quantity.count(hidden.count)) more clients with \(Quantity.count(total)) examples"
  }

  /// One part of every bar: a class, or all classes for which there is no letter left.
  struct Part {
    let name: String
    /// Index of the colour and the letter; nil for the rest.
    let index: Int?
    let classes: [Int]
  }

  /// The parts: every class, or the most frequent 25 and the rest.
  var parts: [Part] {
    let count = max(classNames.count, bars.map(\.counts.count).max() ?? 0)
    let names = (0..<count).map { $0 < classNames.count ? classNames[$0] : "class \($0)" }
    guard count > 26 else {
      return names.enumerated().map { Part(name: $1, index: $0, classes: [$0]) }
    }
    var totals = Array(repeating: 0, count: count)
    for bar in bars {
      for (index, value) in bar.counts.enumerated() { totals[index] += max(0, value) }
    }
    let order = totals.indices.sorted { (-totals[$0], $0) < (-totals[$1], $1) }
    let frequent = order.prefix(25).sorted()
    let rest = order.dropFirst(25).sorted()
    return frequent.enumerated().map { Part(name: names[$1], index: $0, classes: [$1]) }
      + [Part(name: "\(rest.count) other classes", index: nil, classes: rest)]
  }

  /// The letter of a part, where its name does not fit.
  static func letter(_ part: Part) -> Character {
    guard let index = part.index, let value = UnicodeScalar(UInt32(0x41 + index)) else {
      return "+"
    }
    return Character(value)
  }

  /// A client's examples in each part.
  func counts(of bar: Bar, in parts: [Part]) -> [Int] {
    parts.map { part in
      part.classes.reduce(0) { $0 + ($1 < bar.counts.count ? max(0, bar.counts[$1]) : 0) }
    }
  }

  /// `length` divided in proportion to the counts, so that nothing is lost to rounding.
  ///
  /// - Returns: One length a count, which add up to `length`, or zeros if all counts are zero.
  /// - Source: The method of largest remainders (Hamilton).
  static func divided(_ length: Int, by counts: [Int]) -> [Int] {
    let total = counts.reduce(0, +)
    guard total > 0 else { return counts.map { _ in 0 } }
    let exact = counts.map { Double($0) / Double(total) * Double(length) }
    var lengths = exact.map { Int($0) }
    let order = exact.indices.sorted {
      (exact[$1] - exact[$1].rounded(.down), $0) < (exact[$0] - exact[$0].rounded(.down), $1)
    }
    for index in order.prefix(length - lengths.reduce(0, +)) { lengths[index] += 1 }
    return lengths
  }
}

import ApusBase

/// The end of a sequence at which something happens.
public enum TextDirection: String, Sendable, CaseIterable {
  /// At the beginning.
  case left = "Left"
  /// At the end.
  case right = "Right"

  init(reading node: JSONNode) throws(ApusError) {
    let name = try node.string()
    guard let direction = TextDirection(rawValue: name) else {
      throw node.error(
        "there is no direction \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: Self.allCases.map(\.rawValue)))
    }
    self = direction
  }
}

/// How texts are cut to a number of tokens.
///
/// The part that is cut off is lost: there are no overflowing encodings, so the stride of a
/// tokenizer.json has no meaning here.
public struct Truncation: Sendable, Equatable {
  /// Which text of a pair gives tokens.
  public enum Strategy: String, Sendable, CaseIterable {
    /// The longer one, until both are equally long.
    case longestFirst = "LongestFirst"
    /// The first one alone.
    case onlyFirst = "OnlyFirst"
    /// The second one alone.
    case onlySecond = "OnlySecond"
  }

  /// Leaves texts as long as they are, whatever the file says.
  public static let off = Truncation(maxLength: .max)

  /// Most tokens of an encoding, special tokens included.
  public var maxLength: Int
  /// Which text of a pair gives tokens.
  public var strategy: Strategy
  /// Where a text loses tokens.
  public var direction: TextDirection

  public init(
    maxLength: Int, strategy: Strategy = .longestFirst, direction: TextDirection = .right
  ) {
    self.maxLength = maxLength
    self.strategy = strategy
    self.direction = direction
  }

  init(reading node: JSONNode) throws(ApusError) {
    maxLength = try node["max_length"].int()
    guard maxLength >= 0 else {
      throw node["max_length"].error(
        "a length cannot be negative", remedy: "Set it to what the model can take, such as 512")
    }
    let name = try node["strategy"].string()
    guard let strategy = Strategy(rawValue: name) else {
      throw node["strategy"].error(
        "there is no strategy \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: Strategy.allCases.map(\.rawValue)))
    }
    self.strategy = strategy
    direction =
      node["direction"].exists ? try TextDirection(reading: node["direction"]) : .right
  }

  /// Cuts one text, or two, so that `reserved` special tokens still fit.
  func shorten(_ runs: inout [TokenRun], reserving reserved: Int) throws(ApusError) {
    guard maxLength >= reserved else {
      throw error("\(reserved) special tokens do not fit into \(maxLength)")
    }
    let room = maxLength - reserved
    let total = runs.reduce(0) { $0 + $1.count }
    guard total > room || room == 0 else { return }
    switch strategy {
    case _ where room == 0:
      for index in runs.indices { runs[index].shorten(to: 0, direction) }
    case .longestFirst where runs.count == 2:
      let (first, second) = Self.lengths(runs[0].count, runs[1].count, room: room)
      runs[0].shorten(to: first, direction)
      runs[1].shorten(to: second, direction)
    case .longestFirst:
      runs[0].shorten(to: room, direction)
    case .onlyFirst:
      try shorten(&runs[0], by: total - room)
    case .onlySecond:
      guard runs.count == 2 else { throw error("there is no second text to cut") }
      try shorten(&runs[1], by: total - room)
    }
  }

  private func shorten(_ run: inout TokenRun, by surplus: Int) throws(ApusError) {
    guard run.count > surplus else {
      throw error("the text to cut has \(run.count) tokens, and \(surplus) would have to go")
    }
    run.shorten(to: run.count - surplus, direction)
  }

  /// The lengths of two texts cut longest first; an odd token goes to the longer one.
  private static func lengths(_ first: Int, _ second: Int, room: Int) -> (Int, Int) {
    var shorter = min(first, second)
    var longer = shorter > room ? shorter : max(shorter, room - shorter)
    if shorter + longer > room {
      shorter = room / 2
      longer = room - shorter
    }
    return first > second ? (longer, shorter) : (shorter, longer)
  }

  private func error(_ problem: String) -> ApusError {
    ApusError(
      .invalidConfig, at: "truncation to \(maxLength) tokens, \(strategy)", problem,
      remedy: "Allow more tokens, or choose the strategy longestFirst")
  }
}

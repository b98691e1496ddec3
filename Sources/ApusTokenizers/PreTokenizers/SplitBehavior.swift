import ApusBase

/// What becomes of the delimiters at which a text is cut.
enum SplitBehavior: String, CaseIterable, Sendable {
  /// They are dropped.
  case removed = "Removed"
  /// Each is a piece of its own.
  case isolated = "Isolated"
  /// The first of a run ends the piece before it; each further one is a piece.
  case mergedWithPrevious = "MergedWithPrevious"
  /// The last of a run begins the piece after it; each earlier one is a piece.
  case mergedWithNext = "MergedWithNext"
  /// A run of them is a piece.
  case contiguous = "Contiguous"

  init(reading node: JSONNode) throws(ApusError) {
    let name = try node.string()
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw node.error(
        "there is no behavior \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: Self.allCases.map(\.rawValue)))
    }
    self = behavior
  }

  /// Cuts `range` where `isDelimiter` holds.
  @inline(__always)
  func split(
    _ range: Range<Int>, into pieces: inout [SplitText.Piece], where isDelimiter: (Int) -> Bool
  ) {
    var start = range.lowerBound
    var previousIsDelimiter = false
    for index in range {
      let delimits = isDelimiter(index)
      defer { previousIsDelimiter = delimits }
      switch self {
      case .contiguous:
        guard delimits != previousIsDelimiter else { continue }
      case .mergedWithPrevious:
        guard previousIsDelimiter else { continue }
      case .mergedWithNext:
        guard delimits else { continue }
      case .isolated, .removed:
        guard delimits || previousIsDelimiter else { continue }
      }
      if self != .removed || !previousIsDelimiter { pieces.append(start..<index) }
      start = index
    }
    if self != .removed || !previousIsDelimiter { pieces.append(start..<range.upperBound) }
  }
}

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

  /// Cuts `range` at delimiters that may be longer than one scalar, in order.
  ///
  /// - Parameters:
  ///   - range: The part of the text to cut.
  ///   - delimiters: Parts of it, apart from each other.
  ///   - isInverted: Whether what lies between the delimiters delimits instead.
  ///   - pieces: Gets the pieces.
  func split(
    _ range: Range<Int>, at delimiters: [Range<Int>], isInverted: Bool,
    into pieces: inout [SplitText.Piece]
  ) {
    var parts: [(range: Range<Int>, delimits: Bool)] = []
    parts.reserveCapacity(delimiters.count * 2 + 1)
    var done = range.lowerBound
    for delimiter in delimiters {
      if done < delimiter.lowerBound { parts.append((done..<delimiter.lowerBound, isInverted)) }
      parts.append((delimiter, !isInverted))
      done = delimiter.upperBound
    }
    if done < range.upperBound { parts.append((done..<range.upperBound, isInverted)) }
    switch self {
    case .removed: for part in parts where !part.delimits { pieces.append(part.range) }
    case .isolated: for part in parts { pieces.append(part.range) }
    case .contiguous, .mergedWithPrevious, .mergedWithNext:
      var start = range.lowerBound
      for (number, part) in parts.enumerated().dropFirst() {
        let before = parts[number - 1].delimits
        let joins =
          switch self {
          case .contiguous: part.delimits == before
          case .mergedWithPrevious: part.delimits && !before
          default: before && !part.delimits
          }
        guard !joins else { continue }
        pieces.append(start..<part.range.lowerBound)
        start = part.range.lowerBound
      }
      pieces.append(start..<range.upperBound)
    }
  }
}

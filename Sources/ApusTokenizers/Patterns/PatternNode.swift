/// The syntax tree of a regular expression.
indirect enum PatternNode: Sendable {
  /// One scalar of a set.
  case one(ScalarSet)
  case sequence([PatternNode])
  case alternatives([PatternNode])
  case repeated(PatternNode, min: Int, max: Int, mode: Mode)
  /// Matches if what it holds matches from here on, or does not, and takes nothing.
  case lookahead(PatternNode, isNegated: Bool)
  /// The same for the one scalar before.
  case lookbehind(ScalarSet, isNegated: Bool)
  case lineStart
  case lineEnd
  case textStart
  case textEnd(allowsLineFeed: Bool)
  case wordBoundary(isNegated: Bool)
  /// Matches as it would alone, and is never given back in part.
  case atomic(PatternNode)

  /// How often a repetition tries to match.
  enum Mode: Sendable { case greedy, lazy, possessive }

  /// Whether it can match nothing.
  var canBeEmpty: Bool {
    switch self {
    case .one: false
    case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
    case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
    case .repeated(let part, let min, _, _): min == 0 || part.canBeEmpty
    case .atomic(let part): part.canBeEmpty
    default: true
    }
  }

  /// The ASCII characters with which a match that takes something can begin.
  var firstASCII: ASCIISet {
    switch self {
    case .one(let set): return set.ascii
    case .sequence(let parts):
      var set = ASCIISet()
      for part in parts {
        set = set.union(part.firstASCII)
        if !part.canBeEmpty { break }
      }
      return set
    case .alternatives(let parts): return parts.reduce(ASCIISet()) { $0.union($1.firstASCII) }
    case .repeated(let part, _, let max, _): return max == 0 ? ASCIISet() : part.firstASCII
    case .atomic(let part): return part.firstASCII
    default: return ASCIISet()
    }
  }
}

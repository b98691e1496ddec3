import ApusBase

/// A regular expression as instructions for a backtracking matcher.
///
/// It knows what the tokenizer.json files of real models use of the syntax of Oniguruma: classes,
/// properties, groups, alternatives, all kinds of repetition, lookahead, lookbehind at one scalar,
/// anchors and case-insensitive groups. Back references and capture are unknown.
struct PatternProgram: Sendable {
  enum Operation: UInt8, Sendable {
    /// Takes one scalar of set `a`.
    case one
    /// Takes scalars of set `a`, between `b` and `c` of them, as many as it can.
    case run
    /// The same, and never gives any back.
    case runPossessive
    /// Goes on, and later at `b`; at once at `b` where the next scalar is not in `firsts[a]`.
    case branch
    /// Goes on at `b`, and later at the next instruction.
    case branchLate
    case jump
    /// Goes on at `b` if the next instructions match, or, with `a` 1, if they do not.
    case look
    /// The same for the scalar before, with set `c`.
    case lookBehind
    /// Goes on at `b` where a match of the next instructions ends.
    case atomic
    case lineStart
    case lineEnd
    case textStart
    case textEnd
    case wordBoundary
    case accept
  }

  struct Instruction: Sendable {
    var operation: Operation
    var a: Int32 = 0
    var b: Int32 = 0
    var c: Int32 = 0
  }

  private(set) var instructions: ContiguousArray<Instruction> = []
  private(set) var sets: ContiguousArray<ScalarSet> = []
  private(set) var firsts: ContiguousArray<ASCIISet> = []

  /// Far more than any real pattern needs; repetition of repetition would grow without bound.
  private static let sizeLimit = 20_000

  /// Compiles a pattern.
  ///
  /// - Parameters:
  ///   - pattern: The regular expression.
  ///   - place: Where it stands, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if it is malformed, `.unsupported` if it uses what is
  ///   unknown here.
  init(_ pattern: String, at place: String) throws(ApusError) {
    var parser = PatternParser(pattern, at: place)
    try emit(try parser.parse(), at: place)
    instructions.append(Instruction(operation: .accept))
  }

  private mutating func emit(_ node: PatternNode, at place: String) throws(ApusError) {
    guard instructions.count < Self.sizeLimit else {
      throw ApusError(
        .unsupported, at: place, "the regular expression is too large",
        remedy: "Use a pattern with smaller repetition counts")
    }
    switch node {
    case .one(let set): add(.one, index(of: set))
    case .sequence(let parts): for part in parts { try emit(part, at: place) }
    case .alternatives(let parts): try emit(alternatives: parts, at: place)
    case .repeated(.one(let set), let min, let max, let mode) where mode != .lazy:
      add(
        mode == .greedy ? .run : .runPossessive, index(of: set), Int32(clamping: min),
        Int32(clamping: max))
    case .repeated(let part, let min, let max, .possessive):
      try emit(.atomic(.repeated(part, min: min, max: max, mode: .greedy)), at: place)
    case .repeated(let part, let min, let max, let mode):
      try emit(part, min, max, isLazy: mode == .lazy, at: place)
    case .lookahead(let part, let isNegated): try emit(.look, isNegated ? 1 : 0, part, at: place)
    case .lookbehind(let set, let isNegated): add(.lookBehind, isNegated ? 1 : 0, 0, index(of: set))
    case .atomic(let part): try emit(.atomic, 0, part, at: place)
    case .lineStart: add(.lineStart)
    case .lineEnd: add(.lineEnd)
    case .textStart: add(.textStart)
    case .textEnd(let allowsLineFeed): add(.textEnd, allowsLineFeed ? 1 : 0)
    case .wordBoundary(let isNegated): add(.wordBoundary, isNegated ? 1 : 0)
    }
  }

  private mutating func emit(alternatives parts: [PatternNode], at place: String) throws(ApusError)
  {
    var jumps: [Int] = []
    for (number, part) in parts.enumerated() {
      guard number < parts.count - 1 else {
        try emit(part, at: place)
        break
      }
      let branch = add(.branch, index(of: part.canBeEmpty ? .all : part.firstASCII))
      try emit(part, at: place)
      jumps.append(add(.jump))
      instructions[branch].b = Int32(clamping: instructions.count)
    }
    for jump in jumps { instructions[jump].b = Int32(clamping: instructions.count) }
  }

  private mutating func emit(
    _ part: PatternNode, _ min: Int, _ max: Int, isLazy: Bool, at place: String
  ) throws(ApusError) {
    for _ in 0..<min { try emit(part, at: place) }
    guard max != min else { return }
    if max == .max {
      guard !part.canBeEmpty else {
        throw ApusError(
          .unsupported, at: place, "the regular expression repeats what may be empty",
          remedy: "Rewrite it, such as (a+)* for (a*)*")
      }
      let start = add(isLazy ? .branchLate : .branch, index(of: .all))
      try emit(part, at: place)
      let back = add(.jump)
      instructions[back].b = Int32(clamping: start)
      instructions[start].b = Int32(clamping: instructions.count)
      return
    }
    var branches: [Int] = []
    for _ in min..<max {
      branches.append(add(isLazy ? .branchLate : .branch, index(of: .all)))
      try emit(part, at: place)
    }
    for branch in branches { instructions[branch].b = Int32(clamping: instructions.count) }
  }

  private mutating func emit(
    _ operation: Operation, _ a: Int32, _ part: PatternNode, at place: String
  ) throws(ApusError) {
    let start = add(operation, a)
    try emit(part, at: place)
    add(.accept)
    instructions[start].b = Int32(clamping: instructions.count)
  }

  @discardableResult
  private mutating func add(
    _ operation: Operation, _ a: Int32 = 0, _ b: Int32 = 0, _ c: Int32 = 0
  ) -> Int {
    instructions.append(Instruction(operation: operation, a: a, b: b, c: c))
    return instructions.count - 1
  }

  private mutating func index(of set: ScalarSet) -> Int32 {
    if let known = sets.firstIndex(of: set) { return Int32(clamping: known) }
    sets.append(set)
    return Int32(clamping: sets.count - 1)
  }

  private mutating func index(of set: ASCIISet) -> Int32 {
    if let known = firsts.firstIndex(of: set) { return Int32(clamping: known) }
    firsts.append(set)
    return Int32(clamping: firsts.count - 1)
  }
}

/// A run of words that tags mark as one thing.
public struct EntitySpan: Sendable, Hashable {
  /// Type of the entity, such as `PER`; `_` for tags without one.
  public let type: String
  /// The words, by their places in the sequence.
  public let words: Range<Int>

  /// A span of words.
  public init(type: String, words: Range<Int>) {
    self.type = type
    self.words = words
  }

  /// The entities that tags mark: `B-` begins one, `I-` goes on, `E-` ends it, `S-` is one word.
  ///
  /// Tags that follow no scheme are read leniently, as the CoNLL script does: `I-` after another
  /// type or after `O` begins an entity.
  ///
  /// - Source: Ramshaw and Marcus, cmp-lg/9505040; seqeval 1.2.2, `get_entities`.
  public static func spans(of tags: [String]) -> [EntitySpan] {
    var spans: [EntitySpan] = []
    var (previous, start) = (Mark(""), 0)
    for (place, mark) in (tags.map { Mark($0) } + [Mark("")]).enumerated() {
      if mark.ends(previous) {
        spans.append(EntitySpan(type: previous.type, words: start..<place))
      }
      if mark.begins(after: previous) { start = place }
      previous = mark
    }
    return spans
  }

  /// One tag, cut into what it says and of which type.
  private struct Mark {
    let kind: Unicode.Scalar
    let type: String

    init(_ tag: String) {
      let scalars = tag.unicodeScalars
      kind = scalars.first ?? "O"
      var rest = scalars.dropFirst()
      if let dash = rest.firstIndex(of: "-") { rest = rest[rest.index(after: dash)...] }
      type = rest.isEmpty ? "_" : String(rest)
    }

    private var isInside: Bool { kind != "O" && kind != "." }

    func ends(_ previous: Mark) -> Bool {
      switch (previous.kind, kind) {
      case ("E", _), ("S", _): true
      case ("B", "B"), ("B", "S"), ("B", "O"), ("I", "B"), ("I", "S"), ("I", "O"): true
      default: previous.isInside && previous.type != type
      }
    }

    func begins(after previous: Mark) -> Bool {
      switch (previous.kind, kind) {
      case (_, "B"), (_, "S"): true
      case ("E", "E"), ("E", "I"), ("S", "E"), ("S", "I"), ("O", "E"), ("O", "I"): true
      default: isInside && previous.type != type
      }
    }
  }
}

/// Counts of entities that exist, were found, and were found with the right type and words.
///
/// - Source: seqeval 1.2.2 in its default mode, which agrees with the CoNLL-2000 script.
public struct EntityTally: Sendable, Equatable {
  /// Counts by entity type.
  public private(set) var types = ClassTally<String>()

  /// Nothing counted.
  public init() {}

  /// Counts the entities of one sequence; its two lists have one tag a word.
  public mutating func add(truth: [String], guess: [String]) {
    let (truths, guesses) = (Set(EntitySpan.spans(of: truth)), Set(EntitySpan.spans(of: guess)))
    for span in truths { types.add(span.type, truths: 1, guesses: 0, hits: 0) }
    for span in guesses {
      types.add(span.type, truths: 0, guesses: 1, hits: truths.contains(span) ? 1 : 0)
    }
  }

  /// Adds the counts of another part.
  public mutating func add(_ other: EntityTally) { types.add(other.types) }

  /// Precision, recall and F1 over all entities: what is reported as entity F1.
  public var micro: PrecisionRecall { types.micro }

  /// F1 averaged over the types that occur.
  public var macroF1: Double { types.macroF1 }
}

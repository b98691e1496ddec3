import Synchronization

/// Words that a model has already cut, so that frequent ones are cut once.
///
/// It holds a fixed number of words; a new one takes the slot of another with the same hash. Tasks
/// may share it: one that finds it in use does without.
final class WordCache: Sendable {
  private struct Slot {
    var word: ContiguousArray<Unicode.Scalar> = []
    /// The word's tokens, with ranges from its beginning.
    var tokens: [ModelToken] = []
  }

  private static let slotCount = 1 << 14
  /// Longest word kept, in scalars.
  private static let wordLimit = 48

  private let slots = Mutex([Slot](repeating: Slot(), count: slotCount))

  /// Appends the tokens of a word, which `cut` finds if they are not known yet.
  func tokens(
    of scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    into tokens: inout [ModelToken], cut: (inout [ModelToken]) -> Void
  ) {
    guard range.count <= Self.wordLimit else { return cut(&tokens) }
    let slot = Self.slot(of: scalars, range)
    let start = range.lowerBound
    var isFound = false
    slots.withLockIfAvailable { slots in
      guard Self.isEqual(slots[slot].word, scalars, range) else { return }
      isFound = true
      for token in slots[slot].tokens { tokens.append(token.moved(by: start)) }
    }
    if isFound { return }
    let count = tokens.count
    cut(&tokens)
    let new = Slot(
      word: ContiguousArray(scalars[range]), tokens: tokens[count...].map { $0.moved(by: -start) })
    slots.withLockIfAvailable { $0[slot] = new }
  }

  @inline(__always)
  private static func isEqual(
    _ word: ContiguousArray<Unicode.Scalar>, _ scalars: ContiguousArray<Unicode.Scalar>,
    _ range: Range<Int>
  ) -> Bool {
    guard word.count == range.count else { return false }
    for index in word.indices where word[index] != scalars[range.lowerBound + index] {
      return false
    }
    return true
  }

  @inline(__always)
  private static func slot(
    of scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>
  ) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in range {
      hash = (hash ^ UInt64(scalars[index].value)) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
    }
    return Int(truncatingIfNeeded: hash >> 40) & (slotCount - 1)
  }
}

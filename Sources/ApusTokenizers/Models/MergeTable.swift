import ApusBase

/// The pairs of tokens that BPE merges, each with its rank and what it becomes.
struct MergeTable: Sendable {
  // Open addressing; a key is the pair plus one, so that 0 means free.
  private var keys: ContiguousArray<UInt64>
  private var ranks: ContiguousArray<Int32>
  /// For each rank the place of the merged token.
  private var products: ContiguousArray<Int32> = []

  /// Takes over merges, the most urgent first.
  ///
  /// - Parameters:
  ///   - merges: Left and right tokens.
  ///   - vocabulary: All tokens, merged ones included.
  ///   - prefix: What the right token loses before it is merged.
  ///   - place: Where the merges stand, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if a token is missing.
  init(
    _ merges: [(left: String, right: String)], vocabulary: Vocabulary, prefix: String,
    at place: String
  ) throws(ApusError) {
    var capacity = 64
    while capacity < merges.count * 2 { capacity *= 2 }
    keys = ContiguousArray(repeating: 0, count: capacity)
    ranks = ContiguousArray(repeating: 0, count: capacity)
    products.reserveCapacity(merges.count)
    let (trie, prefixLength) = (vocabulary.trie, prefix.unicodeScalars.count)
    for (rank, merge) in merges.enumerated() {
      func missing(_ token: String) -> ApusError {
        ApusError(
          .invalidFile, at: "\(place)[\(rank)]", "the vocabulary has no token \"\(token)\"",
          remedy: "Take vocabulary and merges from the same checkpoint")
      }
      guard let leftNode = trie.node(of: merge.left.unicodeScalars),
        let left = trie.value(at: leftNode)
      else { throw missing(merge.left) }
      guard let right = trie.value(of: merge.right.unicodeScalars) else {
        throw missing(merge.right)
      }
      let rest = merge.right.unicodeScalars.dropFirst(prefixLength)
      guard let product = trie.node(of: rest, from: leftNode).flatMap(trie.value(at:)) else {
        throw missing(merge.left + String(String.UnicodeScalarView(rest)))
      }
      products.append(Int32(truncatingIfNeeded: product))
      let slot = slot(
        of: Self.key(Int32(truncatingIfNeeded: left), Int32(truncatingIfNeeded: right)))
      keys[slot] = Self.key(Int32(truncatingIfNeeded: left), Int32(truncatingIfNeeded: right))
      ranks[slot] = Int32(truncatingIfNeeded: rank)
    }
  }

  /// The rank at which two neighbours merge, or nil if they do not.
  @inline(__always)
  func rank(_ left: Int32, _ right: Int32) -> Int32? {
    let slot = slot(of: Self.key(left, right))
    return keys[slot] == 0 ? nil : ranks[slot]
  }

  /// What the pair with this rank becomes, as a place in the vocabulary.
  @inline(__always)
  func product(_ rank: Int32) -> Int32 { products[Int(rank)] }

  /// The slot of a key, or the free one where it would go.
  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while keys[slot] != 0, keys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    (UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))) + 1
  }
}

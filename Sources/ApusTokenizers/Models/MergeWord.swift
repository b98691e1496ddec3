/// A word while BPE merges it: a linked list of symbols, and a queue of the pairs that may merge.
///
/// - Complexity: O(n log n) for n symbols.
struct MergeWord {
  struct Symbol {
    /// Its token's place in the vocabulary.
    var token: Int32
    /// Bytes that it covers; 0 once it has been merged into the one before.
    var length: Int32
    var previous: Int32
    var next: Int32
  }

  private(set) var symbols: ContiguousArray<Symbol> = []
  // A binary heap of rank and place, the smallest first.
  private var queue: ContiguousArray<UInt64> = []

  init(capacity: Int) { symbols.reserveCapacity(capacity) }

  mutating func append(_ token: Int32, length: Int) {
    let index = Int32(truncatingIfNeeded: symbols.count)
    if index > 0 { symbols[symbols.count - 1].next = index }
    symbols.append(
      Symbol(
        token: token, length: Int32(truncatingIfNeeded: length), previous: index - 1, next: -1))
  }

  /// Merges neighbours, the lowest rank first and from left to right, until none can be merged.
  mutating func merge(by table: MergeTable) {
    guard symbols.count > 1 else { return }
    queue.reserveCapacity(symbols.count)
    for index in 0..<(symbols.count - 1) {
      if let rank = table.rank(symbols[index].token, symbols[index + 1].token) {
        push(rank, Int32(truncatingIfNeeded: index))
      }
    }
    while let (rank, place) = pop() {
      let index = Int(place)
      let next = symbols[index].next
      guard symbols[index].length > 0, next >= 0 else { continue }
      let right = symbols[Int(next)]
      let product = table.product(rank)
      // The pair may have changed since it was queued.
      guard let current = table.rank(symbols[index].token, right.token),
        table.product(current) == product
      else { continue }
      symbols[index].token = product
      symbols[index].length += right.length
      symbols[index].next = right.next
      symbols[Int(next)].length = 0
      if right.next >= 0 {
        symbols[Int(right.next)].previous = place
        if let rank = table.rank(product, symbols[Int(right.next)].token) { push(rank, place) }
      }
      let previous = symbols[index].previous
      if previous >= 0, let rank = table.rank(symbols[Int(previous)].token, product) {
        push(rank, previous)
      }
    }
  }

  private mutating func push(_ rank: Int32, _ place: Int32) {
    queue.append(UInt64(UInt32(bitPattern: rank)) << 32 | UInt64(UInt32(bitPattern: place)))
    var index = queue.count - 1
    while index > 0, case let parent = (index - 1) / 2, queue[index] < queue[parent] {
      queue.swapAt(index, parent)
      index = parent
    }
  }

  private mutating func pop() -> (rank: Int32, place: Int32)? {
    guard let top = queue.first, let last = queue.popLast() else { return nil }
    if !queue.isEmpty {
      var index = 0
      while case let child = smallerChild(of: index), child < queue.count, queue[child] < last {
        queue[index] = queue[child]
        index = child
      }
      queue[index] = last
    }
    return (Int32(truncatingIfNeeded: top >> 32), Int32(truncatingIfNeeded: top & 0xFFFF_FFFF))
  }

  @inline(__always)
  private func smallerChild(of index: Int) -> Int {
    let left = 2 * index + 1
    return left + 1 < queue.count && queue[left + 1] < queue[left] ? left + 1 : left
  }
}

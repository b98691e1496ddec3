/// A prefix tree over Unicode scalars, in one hash table: the longest entry at a place of a text.
///
/// Scalars, not `Character`s, and not `String` keys: two spellings of one letter are two entries.
struct ScalarTrie: Sendable {
  /// A place in the tree, the end of some prefix.
  typealias Node = Int32

  static let root: Node = 0

  // Open addressing; a key is (node, scalar) plus one, so that 0 means free.
  private var keys: ContiguousArray<UInt64>
  private var children: ContiguousArray<Node>
  /// For each node, the value that ends there, or -1.
  private var values: ContiguousArray<Int32> = [-1]

  init() {
    keys = ContiguousArray(repeating: 0, count: 64)
    children = ContiguousArray(repeating: 0, count: 64)
  }

  /// Whether nothing has been entered.
  var isEmpty: Bool { values == [-1] }

  /// Enters `value` under `text`; returns the value that stood there before, if any.
  @discardableResult
  mutating func insert(_ text: some Sequence<Unicode.Scalar>, value: Int) -> Int? {
    var node = Self.root
    for scalar in text { node = child(of: node, inserting: scalar) }
    defer { values[Int(node)] = Int32(truncatingIfNeeded: value) }
    return self.value(at: node)
  }

  /// The value entered under exactly `text`.
  func value(of text: some Sequence<Unicode.Scalar>) -> Int? {
    node(of: text).flatMap(value(at:))
  }

  /// The place where `text`, counted from `node`, ends, if some entry begins with it.
  func node(of text: some Sequence<Unicode.Scalar>, from node: Node = root) -> Node? {
    var node = node
    for scalar in text {
      guard let next = child(of: node, scalar) else { return nil }
      node = next
    }
    return node
  }

  /// The longest entry, counted from `node`, that `scalars` spells from the start of `range` on.
  ///
  /// - Returns: Its value and where it ends, past the start of `range`; nil if there is none.
  @inline(__always)
  func longestMatch(
    in scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>, from node: Node = root
  ) -> (value: Int, end: Int)? {
    var node = node
    var best: (value: Int, end: Int)?
    var index = range.lowerBound
    while index < range.upperBound, let next = child(of: node, scalars[index]) {
      node = next
      index += 1
      let value = values[Int(node)]
      if value >= 0 { best = (Int(value), index) }
    }
    return best
  }

  /// The place that `scalar` leads to from `node`.
  @inline(__always)
  func child(of node: Node, _ scalar: Unicode.Scalar) -> Node? {
    let key = Self.key(node, scalar)
    var slot = Self.slot(of: key, mask: keys.count - 1)
    while keys[slot] != key {
      if keys[slot] == 0 { return nil }
      slot = (slot + 1) & (keys.count - 1)
    }
    return children[slot]
  }

  /// The value entered at a place.
  func value(at node: Node) -> Int? {
    let value = values[Int(node)]
    return value < 0 ? nil : Int(value)
  }

  private mutating func child(of node: Node, inserting scalar: Unicode.Scalar) -> Node {
    if let known = child(of: node, scalar) { return known }
    if values.count * 2 > keys.count { grow() }
    let new = Node(truncatingIfNeeded: values.count)
    values.append(-1)
    store(Self.key(node, scalar), new)
    return new
  }

  private mutating func store(_ key: UInt64, _ child: Node) {
    var slot = Self.slot(of: key, mask: keys.count - 1)
    while keys[slot] != 0 { slot = (slot + 1) & (keys.count - 1) }
    (keys[slot], children[slot]) = (key, child)
  }

  private mutating func grow() {
    let (oldKeys, oldChildren) = (keys, children)
    keys = ContiguousArray(repeating: 0, count: oldKeys.count * 2)
    children = ContiguousArray(repeating: 0, count: oldKeys.count * 2)
    for (key, child) in zip(oldKeys, oldChildren) where key != 0 { store(key, child) }
  }

  @inline(__always)
  private static func key(_ node: Node, _ scalar: Unicode.Scalar) -> UInt64 {
    (UInt64(UInt32(bitPattern: node)) << 21 | UInt64(scalar.value)) + 1
  }

  @inline(__always)
  private static func slot(of key: UInt64, mask: Int) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
  }
}

/// Pairs of scalars that NFC puts together, limited to Unicode 9 like the table of decompositions.
enum Composition {
  private struct Pair: Hashable {
    let first: Unicode.Scalar
    let second: Unicode.Scalar
  }

  private static let pairs: [Pair: Unicode.Scalar] = {
    // Shorter decompositions first: a longer one ends in a mark on what the rest composes to.
    let composites = Decomposition.canonical.mappings
      .filter { $0.value.count > 1 && !$0.key.properties.isFullCompositionExclusion }
      .sorted { $0.value.count < $1.value.count }
    var pairs: [Pair: Unicode.Scalar] = [:]
    for (composite, parts) in composites {
      var first = parts[0]
      for part in parts[1..<(parts.count - 1)] {
        first = pairs[Pair(first: first, second: part)] ?? first
      }
      pairs[Pair(first: first, second: parts[parts.count - 1])] = composite
    }
    return pairs
  }()

  /// The one scalar that `first` and `second` make, if there is one.
  static func composed(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    guard second.value >= 0x300 else { return nil }
    return Hangul.composed(first.value, second.value) ?? pairs[Pair(first: first, second: second)]
  }
}

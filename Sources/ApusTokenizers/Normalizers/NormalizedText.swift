/// A text under normalization, in which every scalar knows where in the original it came from.
struct NormalizedText: Sendable {
  /// A range of scalars of the original text.
  struct Origin: Sendable {
    let start: Int32
    let end: Int32
  }

  /// One scalar that a normalizer puts out, and what it took in for it.
  ///
  /// `change` counts scalars as the Rust library does: 1 is an inserted scalar, 0 replaces the
  /// next one of the text, -n replaces the next one and drops the n after it.
  struct Emission {
    let scalar: Unicode.Scalar
    var change: Int
  }

  private(set) var scalars: ContiguousArray<Unicode.Scalar>
  private(set) var origins: ContiguousArray<Origin>

  /// The text before any normalization.
  init(_ original: String) {
    scalars = ContiguousArray(original.unicodeScalars)
    origins = ContiguousArray(
      unsafeUninitializedCapacity: scalars.count
    ) { [count = scalars.count] buffer, initialized in
      for index in 0..<count {
        let start = Int32(truncatingIfNeeded: index)
        buffer[index] = Origin(start: start, end: start &+ 1)
      }
      initialized = count
    }
  }

  /// A part of another text; origins still point into the whole original.
  init(_ text: NormalizedText, _ range: Range<Int>) {
    scalars = ContiguousArray(text.scalars[range])
    origins = ContiguousArray(text.origins[range])
  }

  var count: Int { scalars.count }

  /// Where in the original, in scalars, the part `range` comes from.
  ///
  /// - Precondition: `range` is not empty.
  func origin(of range: Range<Int>) -> Range<Int> {
    let start = Int(origins[range.lowerBound].start)
    return start..<max(start, Int(origins[range.upperBound - 1].end))
  }

  /// The part `range` as a string.
  func string(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view)
  }

  mutating func append(_ other: NormalizedText) {
    scalars.append(contentsOf: other.scalars)
    origins.append(contentsOf: other.origins)
  }

  /// Appends the part `range` of another text.
  mutating func append(_ other: NormalizedText, _ range: Range<Int>) {
    scalars.append(contentsOf: other.scalars[range])
    origins.append(contentsOf: other.origins[range])
  }

  /// Appends a scalar that comes from where scalar `index` of another text comes from.
  @inline(__always)
  mutating func append(_ scalar: Unicode.Scalar, from other: NormalizedText, at index: Int) {
    scalars.append(scalar)
    origins.append(other.origins[index])
  }

  mutating func reserveCapacity(_ capacity: Int) {
    scalars.reserveCapacity(capacity)
    origins.reserveCapacity(capacity)
  }

  /// Replaces the scalars of the part `range` one by one.
  @inline(__always)
  mutating func map(_ range: Range<Int>, _ change: (Unicode.Scalar) -> Unicode.Scalar) {
    for index in range { scalars[index] = change(scalars[index]) }
  }

  /// Puts `prefix` before a text that is not empty, with the origin of its first scalar.
  mutating func prepend(_ prefix: [Unicode.Scalar]) {
    guard let first = origins.first else { return }
    scalars.insert(contentsOf: prefix, at: 0)
    origins.insert(contentsOf: repeatElement(first, count: prefix.count), at: 0)
  }

  /// Replaces every scalar by the one that `change` returns, or drops it where that is nil.
  @inline(__always)
  mutating func compactMap(_ change: (Unicode.Scalar) -> Unicode.Scalar?) {
    var kept = 0
    for index in scalars.indices {
      guard let scalar = change(scalars[index]) else { continue }
      scalars[kept] = scalar
      if kept != index { origins[kept] = origins[index] }
      kept += 1
    }
    keep(0..<kept)
  }

  /// Drops everything outside of `range`.
  mutating func keep(_ range: Range<Int>) {
    guard range != 0..<count else { return }
    scalars.removeSubrange(range.upperBound...)
    origins.removeSubrange(range.upperBound...)
    scalars.removeSubrange(..<range.lowerBound)
    origins.removeSubrange(..<range.lowerBound)
  }

  /// Replaces every scalar by those that `expand` appends; they all get its origin.
  @inline(__always)
  mutating func flatMap(
    _ expand: (Unicode.Scalar, inout ContiguousArray<Unicode.Scalar>) -> Void
  ) {
    var (newScalars, newOrigins) = (ContiguousArray<Unicode.Scalar>(), ContiguousArray<Origin>())
    newScalars.reserveCapacity(count + 8)
    newOrigins.reserveCapacity(count + 8)
    for index in scalars.indices {
      expand(scalars[index], &newScalars)
      while newOrigins.count < newScalars.count { newOrigins.append(origins[index]) }
    }
    (scalars, origins) = (newScalars, newOrigins)
  }

  /// Replaces the whole text by `emissions`.
  mutating func replace(with emissions: [Emission]) {
    guard !origins.isEmpty else { return }
    var (newScalars, newOrigins) = (ContiguousArray<Unicode.Scalar>(), ContiguousArray<Origin>())
    newScalars.reserveCapacity(emissions.count)
    newOrigins.reserveCapacity(emissions.count)
    var next = 0
    for emission in emissions {
      let source = emission.change > 0 ? max(next - 1, 0) : min(next, origins.count - 1)
      newScalars.append(emission.scalar)
      newOrigins.append(origins[source])
      if emission.change <= 0 { next += 1 - emission.change }
    }
    (scalars, origins) = (newScalars, newOrigins)
  }

  /// Replaces each of `ranges` by `content`, whose origin is that of the last scalar replaced.
  ///
  /// - Precondition: The ranges are in order, apart from each other and not empty.
  mutating func replace(_ ranges: [Range<Int>], with content: [Unicode.Scalar]) {
    guard !ranges.isEmpty else { return }
    var (newScalars, newOrigins) = (ContiguousArray<Unicode.Scalar>(), ContiguousArray<Origin>())
    var done = 0
    for range in ranges {
      newScalars.append(contentsOf: scalars[done..<range.lowerBound])
      newOrigins.append(contentsOf: origins[done..<range.lowerBound])
      newScalars.append(contentsOf: content)
      newOrigins.append(
        contentsOf: repeatElement(origins[range.upperBound - 1], count: content.count))
      done = range.upperBound
    }
    newScalars.append(contentsOf: scalars[done...])
    newOrigins.append(contentsOf: origins[done...])
    (scalars, origins) = (newScalars, newOrigins)
  }
}

import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// One to four examples of one to five tokens, or all of one length.
private func drawnLengths(seed: UInt64, equal: Bool = false) -> [Int] {
  var stream = RandomStream(seed: seed).substream("lengths")
  let common = 1 + stream.integer(below: 5)
  return (0..<(1 + stream.integer(below: 4))).map { _ in
    equal ? common : 1 + stream.integer(below: 5)
  }
}

/// Rows [T, D] of each example by itself.
private func split(_ rows: Tensor, _ lengths: [Int]) -> [Tensor] {
  var start = 0
  return lengths.map { length in
    defer { start += length }
    return rows.sliced(0, start..<(start + length))
  }
}

@Suite struct RowLayoutLaws {
  @Test(arguments: 0..<30 as Range<UInt64>, [false, true])
  func `padding keeps every row and adds zeros that get no gradient`(
    seed: UInt64, equal: Bool
  ) throws {
    let lengths = drawnLengths(seed: seed, equal: equal)
    let layout = RowLayout(lengths: lengths)
    var stream = RandomStream(seed: seed)
    let rows = drawn([lengths.reduce(0, +), 3], &stream).requiringGradient()
    let padded = layout.padded(rows)
    #expect(padded.shape == [lengths.count, lengths.max() ?? 0, 3])
    #expect(layout.rowCount == rows.size(0))
    #expect(layout.exampleCount == lengths.count)
    for (example, part) in split(rows, lengths).enumerated() {
      let (length, row) = (lengths[example], padded[example])
      #expect(row.sliced(0, 0..<length).isIdentical(to: part.cloned()))
      #expect(row.sliced(0, length..<layout.maxLength).floats.allSatisfy { $0 == 0 })
      #expect(rows[layout.firstRows.ints[example]].isIdentical(to: part[0]))
    }
    let gradient = try #require((padded * 2).sum().gradients(by: [rows])[0])
    #expect(gradient.floats.allSatisfy { $0 == 2 })
    try Tensor.check()
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the mean over examples is that of each one's rows, and so is its gradient`(
    seed: UInt64
  ) throws {
    let lengths = drawnLengths(seed: seed)
    let layout = RowLayout(lengths: lengths)
    var stream = RandomStream(seed: seed)
    let rows = drawn([layout.rowCount, 3], &stream).requiringGradient()
    let weight = drawn([lengths.count, 3], &stream)
    let found = layout.meanOverExamples(rows)
    let expected = stacked(split(rows, lengths).map { $0.mean([0]) })
    expectClose(found, expected, absolute: 1e-6, relative: 1e-6)
    let gradients = [found, expected].map {
      ($0 * weight).sum().gradients(by: [rows], keepGraph: true)[0]
    }
    expectClose(
      try #require(gradients[0]), try #require(gradients[1]), absolute: 1e-6, relative: 1e-6)
  }
}

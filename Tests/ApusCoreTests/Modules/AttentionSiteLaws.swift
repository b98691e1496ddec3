import ApusBase
import ApusCore
import ApusTorch
import Testing

private final class Prefix: AttentionAdapter {
  func keysAndValues(_ pass: ForwardPass) -> (keys: Tensor, values: Tensor) {
    (.full([2, 3, 4], 7), .full([2, 3, 4], 8))
  }
}

@Suite struct AttentionSiteLaws {
  @Test func `keys, values and mask grow in front by the prefix`() throws {
    let site = AttentionSite()
    site.adapter = Prefix()
    var stream = RandomStream(seed: 3)
    let (keys, values) = (drawn([2, 2, 5, 4], &stream), drawn([2, 2, 5, 4], &stream))
    let layout = RowLayout(lengths: [2, 5])
    let padding = Tensor([0, 0, 1, 1, 1, 0, 0, 0, 0, 0] as [Float], shape: [2, 1, 1, 5])
    let mask = padding * -1e9
    let grown = site(keys, values, mask: mask, ForwardPass(layout: layout))
    #expect(grown.keys.shape == [2, 2, 8, 4])
    #expect(grown.keys.sliced(2, 0..<3).floats.allSatisfy { $0 == 7 })
    #expect(grown.values.sliced(2, 0..<3).floats.allSatisfy { $0 == 8 })
    #expect(grown.keys.sliced(2, 3..<8).isIdentical(to: keys))
    #expect(grown.values.sliced(2, 3..<8).isIdentical(to: values))
    let longer = try #require(grown.mask)
    #expect(longer.shape == [2, 1, 1, 8])
    #expect(longer.sliced(3, 0..<3).floats.allSatisfy { $0 == 0 })
    #expect(longer.sliced(3, 3..<8).isIdentical(to: mask))
    #expect(site(keys, values, mask: nil, ForwardPass(layout: layout)).mask == nil)
    try Tensor.check()
  }

  @Test func `without an adapter nothing grows`() {
    let keys = Tensor.ones([1, 2, 3, 4])
    let pass = ForwardPass(layout: RowLayout(lengths: [3]))
    #expect(AttentionSite()(keys, keys, mask: nil, pass).keys.isIdentical(to: keys))
  }
}
